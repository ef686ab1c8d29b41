/**
 * The batches of a request, and what they took together.
 */

import { joinRows, sliceRows } from "../tensor/rows.ts";
import type { PreparedRun } from "./prepare.ts";
import type { ResolvedRequest } from "./request.ts";
import type { BatchResult } from "./run.ts";

/** Pictures of one batch: more gain no speed on a CPU and cost memory. */
export const MAX_BATCH = 10;

/** Pictures of a batch of a run: a policy that decides at run time decides for each alone. */
export function batchSize({ policy }: Pick<PreparedRun, "policy">): number {
  return policy === undefined ? MAX_BATCH : 1;
}

/** The pictures of the batch of this size that begins with this one. */
export function batchOf(request: ResolvedRequest, first: number, size: number): ResolvedRequest {
  const { labels, seeds, scales, noise } = request;
  if (labels.length <= size) return request;
  const of = <T>(values: readonly T[]): readonly T[] => values.slice(first, first + size);
  return {
    ...request,
    labels: of(labels),
    seeds: of(seeds),
    noise: sliceRows(noise, first, of(labels).length),
    ...(scales !== undefined && { scales: of(scales), guidance: of(scales)[0]! }), // never empty
  };
}

/** What batches took together, and all of their latents. */
export function totalsOf(
  results: readonly BatchResult[],
): Required<Omit<BatchResult, "notices">> {
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
