/**
 * The paths of solvers other than Euler's on a flow, as diffusers' schedulers choose them.
 *
 * *Source:* diffusers `FlowMatchHeunDiscreteScheduler`, and `DPMSolverMultistepScheduler` and
 * `UniPCMultistepScheduler` with `use_flow_sigmas`; the last two give the model whole thousandths of time, rounded
 * down.
 */

import { type FlowOptions, shiftFactor } from "./flow_schedule.ts";
import { checkSteps, TRAIN_STEPS } from "./noise_schedule.ts";
import { type Path, pointOfFlow } from "./path.ts";

const { fround } = Math;

/** Noise at which a solver that takes logarithms of the picture's share may start. */
const ALL_BUT_NOISE = 1 - 1e-6;

/** The path of DPM-Solver++ on a flow. */
export function dpmFlowPath(steps: number, options: FlowOptions): Path {
  checkSteps(steps);
  const noisiest = 1 - 1 / TRAIN_STEPS;
  return wholeTimes(spread(steps, (i) => noisiest * (steps - i) / steps), options);
}

/** The path of UniPC on a flow. */
export function unipcFlowPath(steps: number, options: FlowOptions): Path {
  checkSteps(steps);
  return wholeTimes(spread(steps, (i) => 1 - i * (1 - 1 / TRAIN_STEPS) / steps), options);
}

/** The path of Heun's method on a flow, each point once. */
export function heunFlowPath(points: number, options: FlowOptions): Path {
  checkSteps(points);
  const by = shiftedBy(options);
  const lowest = options.shift.kind === "static" ? by(1 / TRAIN_STEPS) : 1 / TRAIN_STEPS; // shifted twice, as there
  const sigmas = spread(points, (i) => points === 1 ? 1 : 1 + i * (lowest - 1) / (points - 1))
    .map((sigma) => fround(by(sigma)));
  const times = sigmas.map((sigma) => fround(fround(sigma * TRAIN_STEPS) / TRAIN_STEPS));
  return { times, points: pointsOf(sigmas), predicts: "velocity" };
}

/** The path of given sigmas, before they are shifted, with their own times. */
export function givenFlowPath(
  { sigmas, times }: Readonly<Record<"sigmas" | "times", readonly number[]>>,
): Path {
  return { times, points: pointsOf(sigmas.slice(0, -1)), predicts: "velocity" };
}

function spread(count: number, at: (i: number) => number): readonly number[] {
  return Array.from({ length: count }, (_, i) => at(i));
}

function wholeTimes(even: readonly number[], options: FlowOptions): Path {
  const sigmas = even.map(shiftedBy(options)).map((sigma) => Math.min(sigma, ALL_BUT_NOISE));
  const times = sigmas.map((sigma) => fround(Math.trunc(sigma * TRAIN_STEPS) / TRAIN_STEPS));
  return { times, points: pointsOf(sigmas.map(fround)), predicts: "velocity" };
}

function shiftedBy({ shift, tokens }: FlowOptions): (sigma: number) => number {
  const by = shiftFactor(shift, tokens);
  return (sigma) => by * sigma / (1 + (by - 1) * sigma);
}

function pointsOf(sigmas: readonly number[]): Path["points"] {
  return [...sigmas.map((sigma) => Math.min(sigma, ALL_BUT_NOISE)), 0].map(pointOfFlow);
}
