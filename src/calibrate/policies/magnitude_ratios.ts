/**
 * How the magnitude of the trunk's residual changes from step to step, over runs in full.
 */

import { MAX_BATCH } from "../../engine/max_batch.ts";
import { PlanError } from "../../errors.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { sliceConditions } from "../task.ts";
import type { PolicyTask } from "./policy.ts";
import { recordResiduals } from "./residuals.ts";

/** Added to a magnitude that is divided by. *Source:* diffusers' `MagCacheHook`. */
const EPSILON = 1e-8;

/**
 * By step: the mean over runs, guided halves and tokens of a residual's magnitude over that of the step before; the
 * first is 1. Both halves of a guided batch count alike, for a plan decides once for both.
 *
 * @throws {PlanError} When a residual is not finite.
 */
export async function recordMagnitudeRatios(task: PolicyTask): Promise<readonly number[]> {
  const { conditions, onProgress } = task;
  const { length: runs } = conditions.labels;
  const sums: number[] = [];
  for (let first = 0; first < runs; first += MAX_BATCH) {
    const part = { ...task, conditions: sliceConditions(conditions, first, MAX_BATCH) };
    let before: Float64Array | undefined;
    let done = first * task.steps;
    for await (const { residual, index } of recordResiduals(part)) {
      const now = magnitudes(residual);
      const ratio = before === undefined ? 1 : meanRatio(now, before);
      if (!Number.isFinite(ratio)) refuseRatio(ratio, index);
      sums[index] = (sums[index] ?? 0) + ratio * part.conditions.labels.length;
      before = now;
      onProgress?.(done += part.conditions.labels.length, runs * task.steps);
    }
  }
  return sums.map((sum) => sum / runs);
}

/** By token: the Euclidean norm. */
function magnitudes({ dims, data }: Tensor): Float64Array {
  const width = dims.at(-1)!; // a stream has one
  const norms = new Float64Array(data.length / width);
  for (let i = 0; i < data.length; i++) norms[Math.floor(i / width)]! += data[i]! * data[i]!;
  return norms.map(Math.sqrt);
}

function meanRatio(now: Float64Array, before: Float64Array): number {
  return now.reduce((sum, norm, token) => sum + norm / (before[token]! + EPSILON), 0) / now.length;
}

function refuseRatio(ratio: number, step: number): never {
  throw new PlanError(
    `Cannot calibrate: magnitude ratio at step ${step} must be finite: current value is ${ratio}`,
  );
}
