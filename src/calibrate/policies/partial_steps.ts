/**
 * ProCache's partial steps: all attentions and the MLPs of early blocks are reused, of later blocks' MLPs some tokens are
 * computed: more in later blocks, and more towards the end of the run.
 *
 * *Source:* macovaseas/ProCache, `cache_functions` (the rule is ToCa's) and `models.py`.
 */

import type { PlanColumns, TokenScore } from "../../plan/columns.ts";
import { readModuleName } from "../../plan/module_name.ts";
import { evenRow, moduleRow, type Row } from "../../plan/row.ts";

/** What a step does: computes everything, reuses everything, or computes some tokens. */
export type StepSymbol = "full" | "reuse" | "partial";

/** Its score of tokens: ages count a quarter of their share of `fresh_threshold`, 4. */
export const PROCACHE_SCORE: TokenScore = { attention: 1, age: 0.25 / 4, bonus: 0.6, cell: 2 };

/** By how much the first block's share is less than the middle's, and the last one's more. */
const LAYER_WEIGHT = -0.2;
/** By how much the last step's share is more than the middle's, and the first one's less. */
const STEP_WEIGHT = 2;
/** What an MLP's share is more than a module's, 1 + 0.6 · 2.5; attention's is 1 − 0.4 · 2.5, which is nothing. */
const MLP_FACTOR = 2.5;

/** What the symbols of a run are made of. */
export interface PartialSteps {
  /** Names of all modules. */
  readonly modules: readonly string[];
  /** Share of tokens before it is weighed. */
  readonly fresh: number;
  /** Share of the blocks whose MLPs are reused as a whole: 21 of 28. */
  readonly early: number;
}

/** Rows of a run, and the numbers of those that compute some tokens; none where `fresh` is 0. */
export function partialPlan(
  symbols: readonly StepSymbol[],
  { modules, fresh, early }: PartialSteps,
): { readonly rows: readonly Row[]; readonly columns?: PlanColumns } {
  const blocks = [...new Set(modules.map((name) => readModuleName(name).block))];
  const layers = modules.map((name) => {
    const { block, kind } = readModuleName(name);
    const layer = blocks.indexOf(block);
    return kind === "attn" || layer < early * blocks.length ? undefined : layer;
  });
  const some = layers.flatMap((layer) => layer ?? []);
  const whole = { full: evenRow("run", modules.length), reuse: evenRow("reuse", modules.length) };
  if (fresh === 0 || some.length === 0 || !symbols.includes("partial")) {
    return { rows: symbols.map((symbol) => symbol === "full" ? whole.full : whole.reuse) };
  }
  const partial = moduleRow(layers.map((layer) => layer === undefined ? "reuse" : "partial"));
  return {
    rows: symbols.map((symbol) => symbol === "partial" ? partial : whole[symbol]),
    columns: {
      shares: symbols.map((symbol, step) =>
        symbol !== "partial" ? null : some.map((layer) =>
          shareOf(fresh, {
            layer: blocks.length === 1 ? 0.5 : layer / (blocks.length - 1),
            step: (symbols.length - 1 - step) / symbols.length, // it counts down
          })
        )
      ),
    },
  };
}

/**
 * Share of its tokens that an MLP computes.
 *
 * @param at Of all blocks, 0 for the first and 1 for the last; of all steps, falling to 0 at the last.
 */
export function shareOf(
  fresh: number,
  at: { readonly layer: number; readonly step: number },
): number {
  const layer = 1 + LAYER_WEIGHT - 2 * LAYER_WEIGHT * at.layer;
  const step = 1 + STEP_WEIGHT - 2 * STEP_WEIGHT * at.step;
  return Math.min(1, Math.max(0, fresh * layer * step * MLP_FACTOR));
}
