/**
 * The numbers that a plan has for each step: what takes latents over it instead of a solver's rule.
 */
import { PlanError } from "../errors.ts";

/** Weights of one step; `null` where the solver's rule holds. */
export type StepWeights = readonly number[] | null;

/** Weights of the forecast cells of one step, of all alike or of each; `null` where there are none. */
export type CellWeights = readonly (readonly number[])[] | null;

/** Numbers by step; a plan of version 2 may have them. */
export interface PlanColumns {
  /**
   * `[a, c₀ … c_m]`, m ≤ 7: the next latent is a·x + Σ c_k · (output of the k-th last computed step). The output
   * of a step is what a solver receives: after guidance, without a learned variance.
   */
  readonly update?: readonly StepWeights[];
  /**
   * `[w, W₀ … W_m]`, m ≤ 15, of a step that calls no model (`~`), `null` of all others: its output is w·x +
   * Σ W_k · (output of the k-th last computed step). What builds on other forecasts is multiplied out.
   */
  readonly forecast?: readonly StepWeights[];
  /**
   * `[[W₀ … W_m], …]`, m ≤ 7, of a step with forecast cells (`x`), `null` of all others: the feature of such a cell is
   * Σ W_k · (k-th last feature that its module made). One list for all of the step's, or one for each of them in
   * execution order.
   */
  readonly features?: readonly CellWeights[];
  /**
   * `[s, …]`, 0 … 1, of a step with partial cells (`p`), `null` of all others: such a cell computes ⌊s · T⌋ of its
   * module's T tokens, those that {@link TokenScore} puts first, and has its last feature for the others. One share
   * for all of the step's, or one for each of them in execution order.
   */
  readonly shares?: readonly StepWeights[];
}

/**
 * How tokens of partial cells are chosen: those of the highest score, of equal ones the first.
 *
 * *Source:* ToCa, as ProCache's published code has it.
 */
export interface TokenScore {
  /** Weight of what the token was attended to when the attention before its module last ran, of length 1 over tokens. */
  readonly attention: number;
  /** Weight of how often its module has computed some tokens, but not this one, since it last did. */
  readonly age: number;
  /** Share of its own score that the highest in each cell of the picture's tokens gains. */
  readonly bonus: number;
  /** Rows and columns of such a cell. */
  readonly cell: number;
}

/** Tokens that were computed longest ago come first. */
export const BY_AGE: TokenScore = { attention: 0, age: 1, bonus: 0, cell: 1 };

/** The name of a column of outputs. */
type OutputColumn = "update" | "forecast";

/** Names of all columns, as files order them. */
export const COLUMN_NAMES: readonly (keyof PlanColumns)[] = [
  "update",
  "forecast",
  "features",
  "shares",
];
const OUTPUT_COLUMNS: readonly OutputColumn[] = ["update", "forecast"];
/** Most outputs that an update weighs. */
export const MOST_OUTPUTS = 8;
/** Most outputs by column: published forecasts weigh all that were computed, up to eleven. */
const MOST: Readonly<Record<OutputColumn, number>> = { update: MOST_OUTPUTS, forecast: 16 };
/** Most features that a forecast cell weighs: each is kept. */
export const MOST_FEATURES = 8;
/** A weight beyond it has lost the latent's digits; fitted ones stay below 20. */
const LARGEST = 1e3;

/** What a step is, for its weights. */
export interface ColumnStep {
  /** Whether the model is called. */
  readonly called: boolean;
  /** How many forecast cells it has. */
  readonly cells: number;
  /** How many partial cells it has. */
  readonly partial: number;
}

/**
 * Checks the columns of a plan, but for whether features that cells weigh were made.
 *
 * @throws {PlanError} Naming step and column.
 */
export function checkColumns(columns: PlanColumns, steps: readonly ColumnStep[]): void {
  for (const name of COLUMN_NAMES) {
    const column = columns[name];
    if (column === undefined || column.length === steps.length) continue;
    refuse(`column ${name}`, `${steps.length} long (one entry for each step)`, column.length);
  }
  let computed = 0;
  for (const [step, { called, cells, partial }] of steps.entries()) {
    if (called) computed++;
    for (const name of OUTPUT_COLUMNS) {
      const weights = columns[name]?.[step] ?? null;
      const where = `step ${step}, column ${name}`;
      if (name === "forecast") checkForecast(weights, where, called);
      if (weights !== null) checkWeights(weights, where, { computed, most: MOST[name] });
    }
    checkCells(columns.features?.[step] ?? null, `step ${step}, column features`, cells);
    checkShares(columns.shares?.[step] ?? null, `step ${step}, column shares`, partial);
  }
}

/** There are some where cells of this mark are: one for all of them, or one for each. */
function checkCount(
  list: readonly unknown[] | null,
  where: string,
  { cells, mark, all, one }: {
    readonly cells: number;
    readonly mark: string;
    readonly all: string;
    readonly one: string;
  },
): void {
  if (list === null) {
    if (cells > 0) refuse(where, `${all} at a step with cells "${mark}"`, null);
    return;
  }
  if (cells === 0) refuse(where, `null but at a step with cells "${mark}"`, JSON.stringify(list));
  if (list.length !== 1 && list.length !== cells) {
    refuse(where, `one ${one}, or one for each of ${cells} cells "${mark}"`, list.length);
  }
}

function checkCells(lists: CellWeights, where: string, cells: number): void {
  checkCount(lists, where, { cells, mark: "x", all: "weights", one: "list of weights" });
  for (const [i, weights] of lists?.entries() ?? []) {
    const list = `${where}, list ${i}`;
    if (weights.length < 1 || weights.length > MOST_FEATURES) {
      refuse(list, `1 … ${MOST_FEATURES} weights`, weights.length);
    }
    checkSizes(weights, list);
  }
}

function checkShares(shares: StepWeights, where: string, cells: number): void {
  checkCount(shares, where, { cells, mark: "p", all: "shares", one: "share" });
  const wrong = shares?.find((share) => !(share >= 0 && share <= 1)); // NaN too
  if (wrong !== undefined) refuse(where, "shares of 0 … 1", wrong);
}

function checkForecast(weights: StepWeights, where: string, called: boolean): void {
  if (called && weights !== null) refuse(where, 'null but at a step "~"', JSON.stringify(weights));
  if (!called && weights === null) refuse(where, 'weights at a step "~"', "null");
}

function checkWeights(
  weights: readonly number[],
  where: string,
  { computed, most }: {
    /** How many outputs there are by then. */
    readonly computed: number;
    readonly most: number;
  },
): void {
  const outputs = weights.length - 1;
  if (outputs < 1 || outputs > most) refuse(where, `2 … ${most + 1} weights`, outputs + 1);
  if (outputs > computed) {
    refuse(where, `weights of the latent and ${computed} outputs, for no more are there`, outputs);
  }
  checkSizes(weights, where);
}

function checkSizes(weights: readonly number[], where: string): void {
  const wrong = weights.find((weight) => !(Math.abs(weight) <= LARGEST)); // NaN too
  if (wrong !== undefined) refuse(where, `numbers of at most ${LARGEST} either way`, wrong);
}

/** What a step does with outputs. */
export interface OutputUse {
  /** How many of the latest it weighs, its own among them. */
  readonly weighs: number;
  /** Whether it makes one. */
  readonly makes: boolean;
}

/** By step: how many of the latest outputs are needed after it. */
export function outputsKept(uses: readonly OutputUse[]): readonly number[] {
  const kept: number[] = new Array(uses.length);
  let needed = 0;
  for (const [step, { weighs, makes }] of [...uses.entries()].reverse()) {
    kept[step] = needed;
    needed = Math.max(0, Math.max(needed, weighs) - (makes ? 1 : 0));
  }
  return kept;
}

function refuse(what: string, wanted: string, current: unknown): never {
  throw new PlanError(`Cannot read plan: ${what} must be ${wanted}: current value is ${current}`);
}
