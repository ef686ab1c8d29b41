/**
 * Mode `search` as a mode of calibration: half of the conditions are measured, the other half decides.
 *
 * @module
 */

import type { Plan } from "../plan/plan.ts";
import {
  type CalibrationTask,
  type Conditions,
  planOf,
  sliceConditions,
  trialRequest,
} from "./calibration.ts";
import { measureReuse } from "./reuse_error.ts";
import { LONGEST_REUSE, searchRows } from "./search.ts";
import { openTrials, type TrialSubject } from "./trials.ts";

/** A calibration that searches. */
export interface SearchTask extends Omit<CalibrationTask, "levels" | "warmup"> {
  /** Least predicted speed-up of the plan. */
  readonly speedup: number;
  /** Most trial runs on the held-back conditions. */
  readonly trials: number;
}

/**
 * Searches a plan of at least the wanted predicted speed-up.
 *
 * @throws {RangeError} When there are fewer than two conditions, or no plan is that fast.
 */
export async function calibrateSearch(task: SearchTask): Promise<Plan> {
  const { conditions, steps, speedup, trials, onProgress } = task;
  const half = Math.ceil(conditions.labels.length / 2);
  if (conditions.labels.length < 2) {
    throw new RangeError(
      "Cannot search: runs must be at least 2, to measure on some and decide on others: " +
        `current value is ${conditions.labels.length}`,
    );
  }
  const total = steps + trials; // measured steps, then trials
  const recorded = await openTrials(subjectOf(task, sliceConditions(conditions, 0, half)));
  const errors = await measureReuse(recorded, {
    longest: Math.min(LONGEST_REUSE, steps - 1),
    onProgress: (done) => onProgress?.(done, total),
  });
  const heldBack = await openTrials(subjectOf(task, sliceConditions(conditions, half, half)));
  const found = await searchRows(errors, heldBack, {
    speedup,
    trials,
    onProgress: (done) => onProgress?.(steps + done, total),
  });
  onProgress?.(total, total);
  return await planOf({ ...task, levels: {}, warmup: 0 }, {
    rows: found.rows,
    guidance: task.guidance,
    policy: { name: "search", parameters: { speedup, trials, longestReuse: LONGEST_REUSE } },
    calibration: { mode: "search", thresholds: {} },
  });
}

function subjectOf(task: SearchTask, conditions: Conditions): TrialSubject {
  const { pipeline: { model, executor }, signal } = task;
  return { model, executor, signal, request: trialRequest({ ...task, conditions }) };
}
