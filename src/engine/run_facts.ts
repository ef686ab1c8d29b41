/**
 * What a finished run says of itself, beside its pictures.
 */

import { totalsOf } from "./batches.ts";
import type { Generated } from "./generated.ts";
import { parallelRecord } from "./parallel/run_parallel.ts";
import { decided, type Gate } from "./policies/gate.ts";
import type { PreparedRun } from "./prepare.ts";
import type { BatchResult } from "./run.ts";

/** What a run took and what it was asked for, by what its batches gave; `gates` are of those that a policy decided. */
export function runFacts(
  prepared: PreparedRun,
  results: readonly BatchResult[],
  { gates, seconds, noPictures }: {
    readonly gates: readonly Gate[];
    readonly seconds: number;
    /** Why there are no pictures, where there should be. */
    readonly noPictures: Error | undefined;
  },
): Omit<Generated, "pictures"> {
  const { request, choice, prompts, tokens, grid } = prepared;
  const { labels, seeds, steps, guidance, trueGuidance, solver, edit } = request;
  return {
    ...totalsOf(results),
    ...(choice.named && { plan: choice.named }),
    planReason: choice.reason,
    notices: [
      ...prepared.notices,
      ...new Set(results.flatMap(({ notices = [] }) => notices)),
      ...(noPictures === undefined ? [] : [`No pictures: ${noPictures.message}`]),
    ],
    ...{ seconds, labels, prompts, seeds, steps, guidance },
    ...(tokens !== undefined && { tokens }),
    ...(grid !== undefined && { grid }),
    ...(solver !== undefined && { sampler: solver }),
    ...(trueGuidance !== undefined && { trueGuidance }),
    ...(edit !== undefined && { edit: edit.record }),
    ...{ ...decided(gates, prepared), ...parallelRecord(results, prepared) },
  };
}
