/**
 * Estimates the final error of a plan's rows from measurements of single steps, to guide a search that can
 * measure only some of very many plans.
 */

import { computes, isFull, type Row } from "../../plan/row.ts";
import type { ReuseErrors } from "./reuse_error.ts";

/**
 * `shares[step].get(row.text)`: the error that a row leaves at a step, as a share of what reusing every
 * feature would leave there. 1 where it was not measured.
 */
export type RowShares = readonly ReadonlyMap<string, number>[];

/**
 * Expected squared error of the final latents.
 *
 * Errors of steps that follow the same computed step add up, those of different ones only in their
 * squares, as in `placeFullSteps()`. A step that runs some modules takes away a part of the error, and
 * leaves features that are partly fresh: as much of the older error stays in them as in the step itself.
 */
export function expectedError(
  rows: readonly Row[],
  errors: ReuseErrors,
  shares: RowShares,
): number {
  let held: ReadonlyMap<number, number> = new Map([[0, 1]]); // step → its share in what is kept
  let total = 0;
  let run = 0; // sum since the last computed step
  for (const [step, row] of rows.entries()) {
    if (step === 0) continue; // full
    const share = isFull(row) ? 0 : shares[step]?.get(row.text) ?? 1;
    if (computes(row)) {
      total += run ** 2;
      run = 0;
    }
    run += share * staleError(held, step, errors);
    if (computes(row)) held = renewed(held, step, Math.min(1, share));
  }
  return total + run ** 2;
}

function renewed(
  held: ReadonlyMap<number, number>,
  step: number,
  old: number,
): ReadonlyMap<number, number> {
  if (old === 0) return new Map([[step, 1]]);
  return new Map([...[...held].map(([i, part]) => [i, part * old] as const), [step, 1 - old]]);
}

function staleError(
  held: ReadonlyMap<number, number>,
  step: number,
  errors: ReuseErrors,
): number {
  return [...held].reduce((sum, [i, part]) => sum + part * errorOf(i, step, errors), 0);
}

/** Beyond the longest reuse that was measured, the error grows on in proportion. */
function errorOf(held: number, step: number, { final, longest }: ReuseErrors): number {
  const age = step - held;
  const measured = Math.min(age, longest);
  return final[step - measured]![step]! * age / measured; // measured for every step but the first
}
