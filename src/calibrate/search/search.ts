/**
 * Mode `search`: choose the rows of a plan by measured error, under a budget of predicted cost.
 *
 * Whole plans are measured first: full steps where dynamic programming places them, evenly, and as mode
 * `guided` does. The best is then changed, one move at a time, as long as the measured PSNR on held-back
 * conditions grows: full steps move by one step; steps load a kept state instead of kept features; steps
 * run some of their modules; and where one step does more, others do less. The moves are in `moves.ts`.
 */

import { type ModelCost, rowMacs } from "../../plan/cost.ts";
import { evenRow, type Row, textOf } from "../../plan/row.ts";
import { exchanges, type Move, type MoveKind, type Prospects, shift } from "./moves.ts";

/** Rows with their measured quality. */
export interface Measured {
  /** One row per step. */
  readonly rows: readonly Row[];
  /** Mean PSNR in dB to the full run on the held-back conditions. */
  readonly psnr: number;
}

/** What is searched. `M` may carry what the next measurement can use. */
export interface SearchProblem<M extends Measured> {
  /** Names of all modules, in execution order. */
  readonly modules: readonly string[];
  /** Their cost. */
  readonly cost: ModelCost;
  /** Plans to begin with, by name; those over the budget are skipped. */
  readonly starts: ReadonlyMap<string, readonly Row[]>;
  /** Expected final error: decides what is measured first. */
  readonly expected: (rows: readonly Row[]) => number;
  /** Measures rows; `known` was measured before. */
  readonly measure: (rows: readonly Row[], known: M | undefined) => Promise<M>;
}

export interface SearchOptions {
  /** Least predicted speed-up of the plan. */
  readonly speedup: number;
  /** Most measurements. */
  readonly trials: number;
  /** Called with progress: done of at most total, and the best PSNR in dB so far. */
  readonly onProgress?: ((done: number, total: number, psnr: number) => void) | undefined;
}

export interface SearchResult extends Measured {
  /** Name of the plan that it began with. */
  readonly start: string;
  /** How many moves of each kind it made. */
  readonly moves: Readonly<Record<MoveKind, number>>;
  /** How many plans of each kind were measured; the starts are not among them. */
  readonly tried: Readonly<Record<MoveKind, number>>;
}

/** Exchanges that are measured before giving up; the most promising come first. */
const EXCHANGES = 16;

/**
 * Searches rows of at least the predicted speed-up.
 *
 * @throws {RangeError} When no start is that fast.
 */
export async function searchRows<M extends Measured>(
  problem: SearchProblem<M>,
  options: SearchOptions,
): Promise<SearchResult> {
  const search = await begin(problem, options);
  for (let improved = true; improved;) {
    const exchanged = await exchangePass(search);
    improved = await shiftPass(search) || exchanged;
  }
  const { best: { rows, psnr }, start, moves, tried } = search;
  return { rows, psnr, start, moves, tried };
}

type Counts = Record<MoveKind, number>;

interface Search<M extends Measured> {
  readonly problem: SearchProblem<M>;
  readonly options: SearchOptions;
  readonly prospects: Prospects;
  readonly start: string;
  /** Rows that were measured. */
  readonly measured: Set<string>;
  readonly moves: Counts;
  readonly tried: Counts;
  best: M;
}

/** Measures the starts and keeps the best. */
async function begin<M extends Measured>(
  problem: SearchProblem<M>,
  options: SearchOptions,
): Promise<Search<M>> {
  const prospects = prospectsOf(problem, options.speedup);
  const measured = new Set<string>();
  let best: { readonly start: string; readonly found: M } | undefined;
  for (const [start, rows] of problem.starts) {
    if (!affordable(rows, prospects) || measured.has(textOf(rows)) || spent(measured, options)) {
      continue;
    }
    const found = await problem.measure(rows, undefined);
    measured.add(textOf(rows));
    if (best === undefined || found.psnr > best.found.psnr) best = { start, found };
    options.onProgress?.(measured.size, options.trials, best.found.psnr);
  }
  if (best === undefined) {
    throw new RangeError(
      `Cannot search: no plan to begin with reaches the target speed-up of ${options.speedup}.`,
    );
  }
  const none = { shift: 0, state: 0, cells: 0, steps: 0 };
  const { start, found } = best;
  const counts = { moves: { ...none }, tried: { ...none } };
  return { problem, options, prospects, start, measured, ...counts, best: found };
}

/** Moves every computed step by one to either side, as long as that is better. */
async function shiftPass<M extends Measured>(search: Search<M>): Promise<boolean> {
  let improved = false;
  for (let step = 1; step < search.best.rows.length; step++) {
    for (const by of [-1, 1] as const) {
      const move = shift(search.best.rows, step, by);
      if (move !== undefined && await measureMove(search, move)) improved = true;
    }
  }
  return improved;
}

/** Measures the most promising exchanges, starting over after each improvement, until none improves. */
async function exchangePass<M extends Measured>(search: Search<M>): Promise<boolean> {
  const { problem: { modules }, prospects, measured } = search;
  const before = search.best;
  for (let improved = true; improved;) {
    const fresh = exchanges(search.best.rows, modules, prospects)
      .filter(({ rows }) => !measured.has(textOf(rows)) && affordable(rows, prospects));
    improved = false;
    for (const move of fresh.slice(0, EXCHANGES)) {
      improved = await measureMove(search, move);
      if (improved) break;
    }
  }
  return search.best !== before;
}

/** Measures rows, unless they are known or all trials are spent; keeps them if they are better. */
async function measureMove<M extends Measured>(
  search: Search<M>,
  { kind, rows }: Move,
): Promise<boolean> {
  const { problem, options, measured, moves, tried } = search;
  if (measured.has(textOf(rows)) || spent(measured, options)) return false;
  const found = await problem.measure(rows, search.best);
  measured.add(textOf(rows));
  tried[kind]++;
  const better = found.psnr > search.best.psnr;
  if (better) {
    search.best = found;
    moves[kind]++;
  }
  options.onProgress?.(measured.size, options.trials, search.best.psnr);
  return better;
}

function spent(measured: ReadonlySet<string>, { trials }: SearchOptions): boolean {
  return measured.size >= trials;
}

function affordable(rows: readonly Row[], { price, budget }: Prospects): boolean {
  return rows.reduce((sum, row) => sum + price(row), 0) <= budget;
}

function prospectsOf<M extends Measured>(
  { modules, cost, starts, expected }: SearchProblem<M>,
  speedup: number,
): Prospects {
  const price = (row: Row): number => rowMacs(row, cost);
  const [rows = []] = starts.values();
  return { price, budget: rows.length * price(evenRow("run", modules.length)) / speedup, expected };
}
