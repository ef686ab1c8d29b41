/**
 * What is said where steps were asked for that no plan has: nobody should wait for them only because plans bring their
 * own.
 */

import type { CompiledPlan } from "../plan/compile.ts";
import { type ModelCost, predictSpeedup } from "../plan/cost.ts";

/**
 * A sentence on the plans that compute no more than so many steps in full, the slowest first, each with how many times
 * less.
 *
 * @param plans Made for the model and its sampler.
 * @returns `undefined` when none does.
 */
export function fasterPlans(
  plans: readonly (CompiledPlan & { readonly name: string })[],
  { steps, cost }: { readonly steps: number; readonly cost: ModelCost },
): string | undefined {
  const faster = plans
    .map((compiled) => {
      const { name, plan: { reference, rows } } = compiled;
      const inFull = (reference?.steps ?? rows.length) / predictSpeedup(compiled, cost);
      return { name, times: steps / inFull };
    })
    .filter(({ times }) => times > 1 - ROUNDING)
    .toSorted((a, b) => a.times - b.times)
    .map(({ name, times }) => `${name} (${times.toFixed(2)}×)`);
  if (faster.length === 0) return undefined;
  return `No plan here is for ${steps} steps, so all of them run in full. Predicted to be as fast or faster, with ` +
    `steps of their own: ${faster.join(", ")}.`;
}

/** Of a quotient of sums. */
const ROUNDING = 1e-9;
