/**
 * The numbers that a plan has for each step: what takes latents over it instead of a solver's rule.
 */
import { PlanError } from "../errors.ts";

/** Weights of one step; `null` where the solver's rule holds. */
export type StepWeights = readonly number[] | null;

/** Numbers by step; a plan of version 2 may have them. */
export interface PlanColumns {
  /**
   * `[a, c₀ … c_m]`, m ≤ 7: the next latent is a·x + Σ c_k · (output of the k-th last computed step). The output
   * of a step is what a solver receives: after guidance, without a learned variance.
   */
  readonly update?: readonly StepWeights[];
}

/** The name of a column. */
export type ColumnName = keyof PlanColumns;

/** Names of all columns, as files order them. */
export const COLUMN_NAMES: readonly ColumnName[] = ["update"];
/** Most outputs that a step weighs. */
export const MOST_OUTPUTS = 8;
/** A weight beyond it has lost the latent's digits; fitted ones stay below 20. */
const LARGEST = 1e3;

/**
 * Checks the columns of a plan that computes every step.
 *
 * @throws {PlanError} Naming step and column.
 */
export function checkColumns(columns: PlanColumns, steps: number): void {
  for (const name of COLUMN_NAMES) {
    const column = columns[name];
    if (column === undefined) continue;
    if (column.length !== steps) {
      refuse(`column ${name}`, `${steps} long (one entry for each step)`, column.length);
    }
    for (const [step, weights] of column.entries()) {
      if (weights !== null) checkWeights(weights, `step ${step}, column ${name}`, step + 1);
    }
  }
}

/** @param computed How many outputs there are by then. */
function checkWeights(weights: readonly number[], where: string, computed: number): void {
  const outputs = weights.length - 1;
  if (outputs < 1 || outputs > MOST_OUTPUTS) {
    refuse(where, `2 … ${MOST_OUTPUTS + 1} weights`, outputs + 1);
  }
  if (outputs > computed) {
    refuse(where, `weights of the latent and ${computed} outputs, for no more are there`, outputs);
  }
  const wrong = weights.find((weight) => !(Math.abs(weight) <= LARGEST)); // NaN too
  if (wrong !== undefined) refuse(where, `numbers of at most ${LARGEST} either way`, wrong);
}

/**
 * By step: how many of the latest outputs are needed after it.
 *
 * @param outputs By step: how many outputs it weighs, its own among them.
 */
export function outputsKept(outputs: readonly number[]): readonly number[] {
  const kept: number[] = new Array(outputs.length);
  let needed = 0;
  for (const [step, weighed] of [...outputs.entries()].reverse()) {
    kept[step] = needed;
    needed = Math.max(needed, weighed, 1) - 1; // a step makes one of what is needed
  }
  return kept;
}

function refuse(what: string, wanted: string, current: unknown): never {
  throw new PlanError(`Cannot read plan: ${what} must be ${wanted}: current value is ${current}`);
}
