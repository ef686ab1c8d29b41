/**
 * Measures, on the full trajectory, how much of the error of reuse remains when a step runs some modules, or
 * loads a kept state instead of kept features.
 */

import { evenStep, trunkStep } from "../../engine/segment/step_segments.ts";
import { loadsOf } from "../../plan/cells.ts";
import type { CallStep } from "../../plan/compile.ts";
import type { CallRow } from "../../plan/row.ts";
import type { RowShares } from "./expected_error.ts";
import { alongFullRun, rootMeanSquare } from "./reuse_error.ts";
import { partialRows } from "./row_options.ts";
import type { Trials } from "../trials.ts";

export interface RowErrorOptions {
  /** Age, in steps, of the features that are reused: that of a plan's typical reuse. */
  readonly age: number;
  /** Called after each measured step: done of total. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** Measures every row of `partialRows()` at every step but the first, relative to reusing every feature. */
export async function measureRows(
  trials: Trials,
  { age, onProgress }: RowErrorOptions,
): Promise<RowShares> {
  const { modules } = trials.subject.pipeline.model.transformer;
  const rows = partialRows(modules.map(({ name }) => name));
  const full = evenStep({ kind: "run", keep: 1 }, modules.length);
  const reuse = evenStep({ kind: "reuse", keep: 1 }, modules.length);
  const run = alongFullRun(trials, age, { ...full, storeHidden: true, storeResidual: true });
  const shares: Map<string, number>[] = [];
  for await (const { index, exact, held: [oldest], predict } of run) {
    const found = new Map<string, number>();
    if (oldest !== undefined) {
      const errorOf = async (step: CallStep): Promise<number> =>
        rootMeanSquare(await predict(step, oldest.features), exact);
      const whole = Math.max(await errorOf(reuse), Number.MIN_VALUE);
      for (const row of rows) found.set(row.text, await errorOf(stepOf(row)) / whole);
    }
    shares.push(found);
    onProgress?.(index + 1, trials.times.length);
  }
  return shares;
}

/** A step that keeps nothing new and drops nothing. */
function stepOf(row: CallRow): CallStep {
  if (row.kind === "modules") {
    return trunkStep(row.cells.map((kind) => ({ kind, keep: loadsOf(kind) })));
  }
  return { kind: "reuse", index: 0, slot: "joint", load: row.state, drop: false };
}
