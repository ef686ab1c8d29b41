/**
 * The batches of a request, and what they took together.
 */

import { joinRows } from "../tensor/rows.ts";
import { picturesOf } from "./batch_inputs.ts";
import { MAX_BATCH } from "./max_batch.ts";
import type { PreparedRun } from "./prepare.ts";
import type { ResolvedRequest } from "./request.ts";
import type { BatchResult } from "./run.ts";

/** Pictures of a batch of a run: one where its steps are the rows of the batch, computed beside each other. */
export function batchSize({ parallel }: Pick<PreparedRun, "parallel">): number {
  return parallel === undefined ? MAX_BATCH : 1;
}

/** The request of the call of the model that has most rows. */
export function widestBatch(
  prepared: Pick<PreparedRun, "request" | "parallel">,
): ResolvedRequest {
  const batch = batchOf(prepared.request, 0, batchSize(prepared));
  return repeated(batch, prepared.parallel?.segments ?? 1);
}

/** A request with the picture of a batch of one as many times. */
export function repeated(request: ResolvedRequest, times: number): ResolvedRequest {
  const { labels, scales } = request;
  const of = <T>(values: readonly T[]): readonly T[] =>
    Array.from({ length: times }, () => values).flat();
  return { ...request, labels: of(labels), ...(scales !== undefined && { scales: of(scales) }) };
}

/** The pictures of the batch of this size that begins with this one. */
export function batchOf(request: ResolvedRequest, first: number, size: number): ResolvedRequest {
  const { length } = request.labels;
  if (length <= size) return request;
  const count = Math.min(size, length - first);
  return picturesOf(request, Array.from({ length: count }, (_, i) => first + i));
}

/** What batches took together, and all of their latents. */
export function totalsOf(
  results: readonly BatchResult[],
): Required<Omit<BatchResult, "notices" | "parallel">> {
  const sum = (value: (result: BatchResult) => number): number =>
    results.reduce((total, result) => total + value(result), 0);
  return {
    latents: joinRows(results.map(({ latents }) => latents)),
    loopSeconds: sum(({ loopSeconds }) => loopSeconds),
    conditioningSeconds: sum(({ conditioningSeconds }) => conditioningSeconds),
    preparationSeconds: sum(({ preparationSeconds = 0 }) => preparationSeconds),
    peakFeatureBytes: Math.max(...results.map(({ peakFeatureBytes }) => peakFeatureBytes)),
  };
}
