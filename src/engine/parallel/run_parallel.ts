/**
 * The run of one picture whose segments of steps are the rows of a batch.
 */

import type { Condition } from "../../model/module_graph.ts";
import type { CallStep } from "../../plan/compile.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { joinRows, sliceRows } from "../../tensor/rows.ts";
import { type Call, mostCalls, refine, type Row } from "../../sampler/srds.ts";
import { firstLatents } from "../begin.ts";
import type { ConditioningTable } from "../conditioning.ts";
import { disposeAll, type Values } from "../device_values.ts";
import { batchOf, guided, stepInputs } from "../batch_inputs.ts";
import {
  type BatchResult,
  conditionRun,
  constantsOf,
  type HostStepReport,
  reportOf,
  restorer,
  type Run,
} from "../run.ts";
import { repeated } from "../batches.ts";
import { fullStep } from "../segment/step_segments.ts";
import type { Generated } from "../generated.ts";
import type { PreparedRun } from "../prepare.ts";
import type { ParallelRun } from "./choose.ts";

/** A run whose steps are computed beside each other. */
type RowRun = Run & { readonly parallel: ParallelRun };

/** Whether a run is one. */
export function isParallel(run: Run & Pick<PreparedRun, "parallel">): run is RowRun {
  return run.parallel !== undefined;
}

/** What the batches of such a run, each a picture, took. */
export function parallelRecord(
  results: readonly BatchResult[],
  { parallel }: Pick<PreparedRun, "parallel">,
): Pick<Generated, "parallel"> {
  if (parallel === undefined) return {};
  const pictures = results.flatMap(({ parallel }) => parallel === undefined ? [] : [parallel]);
  return { parallel: { word: parallel.word, pictures } };
}

/** Runs call by call; leaving the loop early frees everything. */
export async function* runParallel(
  run: RowRun,
): AsyncGenerator<HostStepReport, BatchResult, undefined> {
  const { request, parallel: { threshold, ...cut }, features } = run;
  const started = performance.now();
  const table = await conditionRun(run);
  const conditioningSeconds = (performance.now() - started) / 1000;
  const rows = new RowCalls(run, table);
  let loopSeconds = 0;
  try {
    const denoise = (asked: readonly Row[]): Promise<readonly Tensor[]> => rows.predict(asked);
    const how = { noise: firstLatents(request), denoise, restore: restorer(run), threshold };
    const calls = refine(cut, how);
    for (;;) {
      const before = performance.now();
      const next = await calls.next();
      const seconds = (performance.now() - before) / 1000;
      loopSeconds += seconds;
      if (next.done === true) {
        const { latent: latents, ...parallel } = next.value;
        return { latents, parallel, loopSeconds, conditioningSeconds, peakFeatureBytes: 0 };
      }
      yield { ...reportOfCall(run, next.value), seconds, keptBytes: features.bytes };
    }
  } finally {
    features.dispose();
    rows.dispose();
  }
}

/** A call as a step: progress counts calls, of which there are fewer where rounds end early. */
function reportOfCall(
  { parallel, ...run }: RowRun,
  { index, latent: latents, estimate, count }: Call,
): Omit<HostStepReport, "seconds" | "keptBytes"> {
  const most = mostCalls(parallel);
  const { batch, batches } = run.place ?? { batch: 0, batches: 1 };
  return {
    ...reportOf(run, index),
    ...{ done: batch * most + count.calls, total: batches * most },
    ...{ latents, estimate, state: { index, latent: latents, history: [] } },
  };
}

/** Calls the model with rows of one picture at several of its steps; each number of rows has constants of its own. */
class RowCalls {
  readonly #constants = new Map<number, Values>();
  readonly #step: CallStep;

  constructor(readonly run: Run, readonly table: ConditioningTable) {
    this.#step = fullStep(run.model.transformer.modules.length);
  }

  async predict(rows: readonly Row[]): Promise<readonly Tensor[]> {
    const request = repeated(this.run.request, rows.length);
    const run = { ...this.run, request };
    const inputs = stepInputs(run, {
      table: this.table,
      latent: joinRows(rows.map(({ latent }) => latent)),
      batch: this.#conditions(rows),
    });
    const constants = this.#constants.get(rows.length) ?? await constantsOf(run);
    this.#constants.set(rows.length, constants);
    const prediction = await run.executor.runStep(this.#step, { ...inputs, constants });
    const noise = guided(prediction, run);
    return rows.map((_, row) => sliceRows(noise, row, 1));
  }

  /** The rows at their times; then, where there are, their null halves. */
  #conditions(rows: readonly Row[]): readonly Condition[] {
    const each = rows.map(({ index }) => batchOf(this.run, index));
    return each[0]!.flatMap((_, half) => each.map((batch) => batch[half]!)); // as long for each
  }

  dispose(): void {
    for (const constants of this.#constants.values()) disposeAll(constants);
  }
}
