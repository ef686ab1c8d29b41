/**
 * How much of the error of reuse a step leaves that runs some modules, or that loads a kept state
 * instead of kept features: measured on the full trajectory.
 *
 * @module
 */

import { FeatureCache } from "../../engine/feature_cache.ts";
import { constantsOf } from "../../engine/run.ts";
import { disposeAll, type Values } from "../../engine/device_values.ts";
import { CELLS } from "../../plan/cells.ts";
import type { Step } from "../../plan/compile.ts";
import type { Row } from "../../plan/row.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { RowShares } from "./expected_error.ts";
import { mixedStep, predictNoise, reuseAll, rootMeanSquare, storeAll } from "./reuse_error.ts";
import { partialRows } from "./row_options.ts";
import { runOf, type Trials } from "../trials.ts";

/** How to measure. */
export interface RowErrorOptions {
  /** Age, in steps, of the features that are reused: that of a plan's typical reuse. */
  readonly age: number;
  /** Hears of each measured step: done of total. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** A step's features and states, and the step. */
interface Held {
  readonly index: number;
  readonly features: FeatureCache;
}

/** Measures every row of `partialRows()` at every step but the first. */
export async function measureRows(
  trials: Trials,
  { age, onProgress }: RowErrorOptions,
): Promise<RowShares> {
  const { transformer } = trials.subject.model;
  const count = trials.times.length;
  const rows = partialRows(transformer.modules.map(({ name }) => name));
  const held: Held[] = [];
  const shares: Map<string, number>[] = [new Map()];
  const constants = await constantsOf(runOf(trials.subject, []));
  try {
    for (let index = 0; index < count; index++) {
      const features = new FeatureCache();
      held.push({ index, features });
      const keep = {
        ...storeAll(transformer.modules.length),
        storeHidden: true,
        storeResidual: true,
      };
      const exact = await predictNoise(trials, keep, { index, features, constants });
      if (index > 0) {
        shares.push(await sharesAt(trials, held[0]!, { index, exact, rows, constants })); // just pushed
      }
      if (held.length > age) held.shift()?.features.dispose();
      onProgress?.(index + 1, count);
    }
  } finally {
    held.forEach(({ features }) => features.dispose());
    disposeAll(constants);
  }
  return shares;
}

/** Errors at one step, relative to that of reusing every feature that is held. */
async function sharesAt(
  trials: Trials,
  { features }: Held,
  { index, exact, rows, constants }: {
    readonly index: number;
    readonly constants: Values;
    readonly exact: Tensor;
    readonly rows: readonly Row[];
  },
): Promise<Map<string, number>> {
  const errorOf = async (step: Step): Promise<number> =>
    rootMeanSquare(await predictNoise(trials, step, { index, features, constants }), exact);
  const reused = reuseAll(trials.subject.model.transformer.modules.length);
  const whole = Math.max(await errorOf(reused), Number.MIN_VALUE);
  const shares = new Map<string, number>();
  for (const row of rows) shares.set(row.text, await errorOf(stepOf(row)) / whole);
  return shares;
}

/** A step that keeps nothing new and drops nothing. */
function stepOf(row: Row): Step {
  const at = { index: 0, slot: "joint" };
  if (row.kind === "state") return { kind: "reuse", ...at, load: row.state, drop: false };
  return mixedStep(row.cells.map((kind) => ({ kind, keep: CELLS[kind].loads })));
}
