/**
 * L2P, our reading of it: the output between computed steps is a weighted sum of all earlier ones, with weights that
 * are learned on runs in full. A sum of forecasts is a sum of what those were made of, so a plan weighs computed
 * outputs alone.
 *
 * *Source:* arXiv 2604.26365 and its published code (Aredstone/L2P-Cache): its schedules, and its `weight.txt`. There
 * weights are trained by Adam; here they are least squares over the computed outputs, which that approaches.
 */

import { PlanError } from "../../errors.ts";
import { openEnsemble } from "../fit/ensemble.ts";
import { leastSquares, normalEquations } from "../fit/least_squares.ts";
import { recordTrajectory } from "../fit/trajectory.ts";
import { requestOf } from "../task.ts";
import { computedBefore, type Forecast, forecastFor, forecastPlan } from "./forecast_plan.ts";
import { expectModel, type Policy } from "./policy.ts";

const SETTINGS = {
  interval: {
    words: "name of the schedule: 5, 6, 7, 8, 10 or 16",
    or: 5,
    least: 5,
    most: 16,
    whole: true,
  },
} as const;

/** Of 50 steps, those that are computed, by the schedule's name. */
const SCHEDULES: ReadonlyMap<number, readonly number[]> = new Map([
  [5, [0, 1, 2, 4, 6, 9, 14, 23, 30, 37, 44]],
  [6, [0, 1, 2, 4, 7, 14, 23, 31, 38, 45]],
  [7, [0, 1, 2, 4, 9, 17, 26, 35, 43]],
  [8, [0, 1, 2, 4, 10, 20, 31, 41]],
  [10, [0, 1, 2, 4, 12, 24, 38]],
  [16, [0, 1, 2, 4, 16, 32]],
]);
const SCHEDULED = 50;

/** The policy. */
export const L2P: Policy<typeof SETTINGS> = {
  words: "forecast outputs by weights that are learned (our reading), or a weight.txt",
  settings: SETTINGS,
  record: async (task, { interval }) => {
    const { steps, onProgress } = task;
    const computed = scheduledSteps(steps, interval);
    const { sampler } = requestOf(task);
    const ensemble = await openEnsemble(task, sampler.times);
    try {
      const report = (done: number): void => onProgress?.(done, steps);
      const { outputs } = await recordTrajectory(ensemble, sampler, report);
      const forecast: Forecast = (step) =>
        learnWeights(outputs, computedBefore(computed, step), step);
      return { ...forecastFor(task, computed, { forecast }), recorded: {} };
    } finally {
      ensemble.close();
    }
  },
  read: async (file, { interval }, { sampler: { times }, model }) => {
    const { architecture, modules, schedule } = expectModel(model, "l2p");
    const matrix = readMatrix(await file.text(), times.length);
    const computed = scheduledSteps(times.length, interval);
    const forecast = multipliedOut(computed, matrix);
    const { rows, own } = forecastPlan(computed, forecast, { schedule, modules: modules.length });
    return { architecture, modules, rows, own };
  },
};

/**
 * By step: whether a published schedule computes it; of another number of steps than 50, in proportion.
 *
 * @throws {RangeError} When there is no such schedule.
 */
export function scheduledSteps(steps: number, interval: number): readonly boolean[] {
  const schedule = SCHEDULES.get(interval);
  if (schedule === undefined) {
    throw new RangeError(
      `Cannot calibrate: interval of l2p must be one of ${[...SCHEDULES.keys()].join(", ")}: ` +
        `current value is ${interval}`,
    );
  }
  const computed = new Set(schedule.map((step) => Math.round(step * steps / SCHEDULED)));
  return Array.from({ length: steps }, (_, step) => computed.has(step));
}

/** Weights of the outputs at some steps whose sum comes nearest to that at another one. */
export function learnWeights(
  outputs: readonly Float32Array[],
  steps: readonly number[],
  wanted: number,
): readonly number[] {
  return leastSquares(normalEquations(steps.map((step) => outputs[step]!), outputs[wanted]!)); // a step has one
}

/**
 * Weights of computed outputs alone.
 *
 * @param matrix Row t weighs the outputs 0 … t, computed or forecast, for that of step t + 1.
 */
export function multipliedOut(
  computed: readonly boolean[],
  matrix: readonly (readonly number[])[],
): Forecast {
  const made: (readonly number[])[] = []; // by step: its output as weights of the steps' computed ones
  for (const [step, each] of computed.entries()) {
    const row = matrix[step - 1] ?? [];
    made.push(
      computed.map((_, source) =>
        each
          ? Number(source === step)
          : made.reduce((all, weights, earlier) => all + (row[earlier] ?? 0) * weights[source]!, 0) // of all steps
      ),
    );
  }
  return (step) => computedBefore(computed, step).map((source) => made[step]![source]!); // they are steps
}

/** A square of numbers, row by row, as numpy writes text. */
function readMatrix(text: string, steps: number): readonly (readonly number[])[] {
  const rows = text.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  if (rows.length !== steps) refuse("weights", `${steps} rows, one for each step`, rows.length);
  return rows.map((line, t) => {
    const row = line.split(/[\s,]+/).map(Number);
    if (row.length !== steps) refuse(`row ${t}`, `${steps} long`, row.length);
    const wrong = row.findIndex((weight, j) => !Number.isFinite(weight) || (j > t && weight !== 0));
    if (wrong < 0) return row;
    refuse(
      `weight ${wrong} of row ${t}`,
      wrong > t ? "0, for it weighs a later output" : "a number",
      row[wrong],
    );
  });
}

function refuse(what: string, wanted: string, current: unknown): never {
  throw new PlanError(
    `Cannot import weights: ${what} must be ${wanted}: current value is ${current}`,
  );
}
