/**
 * How far features drift from earlier ones, on the trajectory that inference follows: with guidance, both
 * halves in one batch.
 *
 * What inference would load at a step depends on which steps before it are computed, which is only
 * decided afterwards; so a feature is compared with those of *every* earlier step that could be held.
 * Whole features of all steps would be gigabytes. Of a feature that is no longer current, a fixed
 * sample of at most 4096 elements is kept, spread evenly over both halves; a distance measured on it is
 * within about 2 % for one run. One pass over the runs thus serves any number of choices.
 */

import { philox } from "../../tensor/random.ts";
import { type CalibrationTask, sliceConditions } from "../task.ts";
import { type Feature, recordSteps, trajectoriesOf, type Trajectory } from "../record.ts";
import { median } from "../median.ts";

export interface Drift extends Trajectory {
  /**
   * `scores[held][step]`, held < step: median over runs of ‖f_step − f_held‖₁ / max(‖f_step‖₁, 1e-8);
   * the error of loading the feature of `held` at `step`. 0 beyond the oldest that may be loaded.
   */
  readonly scores: readonly Float32Array[];
}

/** Elements of a feature that are kept for comparison. */
const SAMPLE_SIZE = 4096;
const LEAST_NORM = 1e-8;

/**
 * Records every run in full, one after another.
 *
 * @throws {PlanError} When a feature is not finite; names step and module.
 * @throws {RangeError} When there are no conditions.
 */
export async function recordDrift(task: CalibrationTask): Promise<readonly Drift[]> {
  const { conditions: { labels }, steps, onProgress } = task;
  const runs: Float32Array[][][] = [];
  for (let run = 0; run < Math.max(1, labels.length); run++) {
    const onStep = (done: number): void => onProgress?.(run * steps + done, labels.length * steps);
    runs.push(await recordRun(task, { run, onStep }));
  }
  return trajectoriesOf(task.pipeline.model.transformer).map((trajectory, t) => ({
    ...trajectory,
    scores: medianTables(runs.map((tables) => tables[t]!)), // one for each trajectory
  }));
}

interface RunOptions {
  readonly run: number;
  readonly onStep: (done: number) => void;
}

/** `scores[trajectory][held][step]` of one run. */
async function recordRun(
  task: CalibrationTask,
  { run, onStep }: RunOptions,
): Promise<Float32Array[][]> {
  const { pipeline, steps, longest = steps } = task;
  const conditions = sliceConditions(task.conditions, run, 1);
  const trajectories = trajectoriesOf(pipeline.model.transformer);
  const scores = trajectories.map(() =>
    Array.from({ length: steps }, () => new Float32Array(steps))
  );
  const samples = trajectories.map(() => new Map<number, Float32Array>());
  const sample = sampler(SAMPLE_SIZE);
  for await (const { index, features } of recordSteps({ ...task, conditions })) {
    for (const [t, feature] of features.entries()) {
      const current = sample(feature);
      for (const [held, earlier] of samples[t]!) {
        scores[t]![held]![index] = driftBetween(current, earlier);
      }
      samples[t]!.set(index, current).delete(index - longest);
    }
    onStep(index + 1);
  }
  return scores;
}

/** ‖current − held‖₁ / max(‖current‖₁, 1e-8), summed in float64. */
export function driftBetween(current: Float32Array, held: Float32Array): number {
  let distance = 0;
  let norm = 0;
  for (let i = 0; i < current.length; i++) {
    const value = current[i]!; // i is within both
    distance += Math.abs(value - held[i]!);
    norm += Math.abs(value);
  }
  return distance / Math.max(norm, LEAST_NORM);
}

/** Picks the same elements of every feature of a length: one at random of each of `size` equal parts. */
export function sampler(size: number): (feature: Feature) => Float32Array {
  const picks = new Map<string, Int32Array>();
  const pick = (length: number, count: number): Int32Array => {
    const key = `${count} of ${length}`;
    const known = picks.get(key);
    if (known !== undefined) return known;
    const made = Int32Array.from({ length: count }, (_, i) => {
      const [bits] = philox([i, 0, 0, 0], [0, 0]);
      return Math.floor((i + bits / 2 ** 32) * length / count);
    });
    picks.set(key, made);
    return made;
  };
  return (feature) => {
    const parts = feature.map((part) => {
      const count = Math.ceil(size / feature.length);
      if (part.length <= count) return part;
      return Float32Array.from(pick(part.length, count), (at) => part[at]!);
    });
    if (parts.length === 1) return parts[0]!;
    return Float32Array.from(parts.flatMap((part) => [...part]));
  };
}

/** Cell by cell the median of tables of one shape. */
function medianTables(tables: readonly (readonly Float32Array[])[]): readonly Float32Array[] {
  return tables[0]!.map((row, held) =>
    row.map((_, step) => median(tables.map((table) => table[held]![step]!))) // all of one shape
  );
}
