/**
 * Mode `fit`: a plan of few calls of the model, whose times and weights are fitted to the converged solution.
 *
 * The converged solution of many runs is recorded at many nodes. Dynamic programming places the visits among them by
 * the errors that inner products foretell; then weights are fitted on what a plan's own steps leave, and visits move
 * as long as that is better on runs that were not fitted. With the trials that are left, all weights and times are
 * refined together.
 */

import type { Plan } from "../../plan/plan.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { mean } from "../median.ts";
import { picturesOf, psnrOf } from "../pictures.ts";
import { requestOf, sliceConditions } from "../task.ts";
import { type Nodes, nodesOf } from "../converged.ts";
import { openEnsemble } from "./ensemble.ts";
import type { FitTask, MeasuredRollout } from "./fit_task.ts";
import { fittedPlan } from "./fitted_plan.ts";
import { foresee } from "./foresight.ts";
import { measureGuidanceLoss } from "./guidance_loss.ts";
import { RIDGES } from "./least_squares.ts";
import { placeVisits, settleVisits } from "./placement.ts";
import { refineCourse } from "./refine_course.ts";
import { relocate } from "./relocation.ts";
import { fitRollout, type RolloutChoice, type RolloutTask } from "./rollout.ts";
import { recordTrajectory, runsOf, type Trajectory } from "./trajectory.ts";

/** Of the runs, these are fitted; the others decide. */
const FITTED_SHARE = 2 / 3;
/**
 * How much errors at noisy times count, as powers of the picture's share there: 0 counts all alike. Few steps are
 * placed better with more weight on the end.
 */
const IMPORTANCE = [0.15, 0, 0.3];

/**
 * Fits a plan.
 *
 * @throws {RangeError} When there are fewer than three runs, or no plan reaches the target.
 */
export async function calibrateFit(task: FitTask): Promise<Plan> {
  const { pipeline, conditions: { labels }, signal } = task;
  if (labels.length < 3) {
    throw new RangeError(
      "Cannot calibrate: runs must be at least 3, to fit some and decide on others: " +
        `current value is ${labels.length}`,
    );
  }
  const { scene, noise } = requestOf(task);
  const nodes = nodesOf(pipeline.model.sampler, scene);
  const ensemble = await openEnsemble(task, nodes.sampler.times);
  try {
    const total = nodes.times.length + task.trials;
    const report = (done: number): void => task.onProgress?.(done, total);
    const truth = await recordTrajectory(ensemble, nodes.sampler, report);
    const runs = Math.round(labels.length * FITTED_SHARE);
    const fitted = runs * noise.data.length / labels.length;
    const held = heldBack(fitted, { dims: noise.dims, runs: labels.length - runs });
    const pictures = (latents: Float32Array): Promise<Tensor> =>
      picturesOf(held(latents), { pipeline, scene, signal });
    const wanted = await pictures(truth.latents.at(-1)!);
    const search: Search = {
      ...{ ensemble, truth, fitted },
      placed: placer(runsOf(truth, { from: 0, to: fitted }), nodes),
      measure: async (latents) => mean(psnrOf(pipeline, await pictures(latents), wanted)),
    };
    const count = await callsFor(task, search);
    const onTrial = (done: number): void => report(nodes.times.length + done);
    const { best: { visited, update, ridge, psnr }, ...searched } = await searchVisits(search, {
      ...{ ...task, count, onTrial },
    });
    const { best: course, tried } = await refineCourse({
      ...{ task, nodes, runs, measure: search.measure, hasTime: task.hasTime },
      wanted: truth.latents.at(-1)!,
      trials: task.trials - searched.tried,
      onTrial: (done) => onTrial(searched.tried + done),
    }, { times: visited.map((node) => nodes.times[node]!), update, psnr });
    report(total);
    const conditions = sliceConditions(task.conditions, runs, labels.length - runs);
    const losses = await measureGuidanceLoss(task, { nodes, course, conditions });
    const found = { nodes, course, ridge, runs, losses };
    return await fittedPlan(task, { ...found, tried: searched.tried + tried });
  } finally {
    ensemble.close();
  }
}

/** The held-back runs of latents of all runs. */
function heldBack(
  from: number,
  { dims, runs }: { readonly dims: readonly number[]; readonly runs: number },
): (latents: Float32Array) => Tensor {
  return (latents) => ({ dims: [runs, ...dims.slice(1)], data: latents.slice(from) });
}

interface Search extends RolloutTask {
  /** Visits that are worth measuring first. */
  readonly placed: (count: number) => readonly (readonly number[])[];
  /** Mean PSNR in dB of held-back pictures. */
  readonly measure: (latents: Float32Array) => Promise<number>;
}

/** Places so many visits for each importance. */
function placer(truth: Trajectory, { sampler: { points } }: Nodes): Search["placed"] {
  const foresight = foresee(truth);
  return (count) =>
    IMPORTANCE.map((power) => {
      const importance = (node: number): number => points[node]!.alpha ** (2 * power); // one more than nodes
      return settleVisits(placeVisits(foresight, { count, importance }), foresight, importance);
    });
}

async function measured(
  search: Search,
  choice: RolloutChoice,
  known?: MeasuredRollout,
): Promise<MeasuredRollout> {
  const rollout = await fitRollout(search, choice, known);
  return { ...rollout, psnr: await search.measure(rollout.latents.at(-1)!) };
}

interface VisitOptions extends Pick<FitTask, "trials" | "hasTime"> {
  readonly count: number;
  readonly onTrial?: (done: number) => void;
}

/** Chooses the ridge on the first visits, then the visits with it. */
async function searchVisits(
  search: Search,
  { count, trials, hasTime, onTrial }: VisitOptions,
): ReturnType<typeof relocate<MeasuredRollout>> {
  const [visited, ...starts] = search.placed(count) as [readonly number[]]; // there are several
  const [usual, ...others] = RIDGES as [number];
  let first = await measured(search, { visited, ridge: usual });
  let before = 0;
  for (const ridge of others.slice(0, trials - 1)) {
    if (!hasTime()) break;
    onTrial?.(++before);
    const found = await measured(search, { visited, ridge });
    if (found.psnr > first.psnr) first = found;
  }
  const { best, tried } = await relocate<MeasuredRollout>({
    ...{ first, starts, hasTime, trials: trials - before, nodes: search.truth.times.length },
    measure: (visited, known) => measured(search, { visited, ridge: first.ridge }, known),
    onTrial: (done) => onTrial?.(before + done),
  });
  return { best, tried: before + tried };
}

/** How many calls of the model the target allows, or takes. */
async function callsFor({ target, steps }: FitTask, search: Search): Promise<number> {
  if ("speedup" in target) {
    const count = Math.floor(steps / target.speedup);
    if (count >= 1) return count;
    throw new RangeError(
      `Cannot calibrate: no plan reaches the target speed-up of ${target.speedup} over ${steps} steps.`,
    );
  }
  const reached = async (count: number): Promise<boolean> => {
    const [visited] = search.placed(count);
    return (await measured(search, { visited: visited!, ridge: RIDGES[0]! })).psnr >= target.psnr; // there are several
  };
  return await leastCount(steps, reached, target.psnr);
}

/** The least count that reaches a target: more calls are nearer to the converged solution. */
async function leastCount(
  most: number,
  reached: (count: number) => Promise<boolean>,
  psnr: number,
): Promise<number> {
  let [low, high] = [1, most + 1];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (await reached(middle)) high = middle;
    else low = middle + 1;
  }
  if (low <= most) return low;
  throw new RangeError(
    `Cannot calibrate: no plan of at most ${most} calls of the model reaches the target of ${psnr} dB.`,
  );
}
