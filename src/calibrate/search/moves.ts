/**
 * Small changes of a plan's rows that a search measures.
 */

import { grouped } from "../../grouped.ts";
import { computes, evenRow, isFull, type Row, textOf } from "../../plan/row.ts";
import { partialRows } from "./row_options.ts";

/** What a move changes: where a step is computed, a kept state, single cells, or whole steps. */
export type MoveKind = "shift" | "state" | "cells" | "steps";

/** Rows after a change. */
export interface Move {
  readonly kind: MoveKind;
  readonly rows: readonly Row[];
}

/** The estimated value of a change, before it is measured. */
export interface Prospects {
  /** Price of a row in multiply-accumulates. */
  readonly price: (row: Row) => number;
  /** The most that all rows may cost together. */
  readonly budget: number;
  /** Expected final error of rows. */
  readonly expected: (rows: readonly Row[]) => number;
}

/** The row of `step` changes places with a neighbour, if one of the two computes and the other does not. */
export function shift(rows: readonly Row[], step: number, by: -1 | 1): Move | undefined {
  const [row, neighbour] = [rows[step]!, rows[step + by]]; // a step of the plan
  if (step < 1 || step + by < 1 || neighbour === undefined) return undefined;
  if (!computes(row) || computes(neighbour)) return undefined;
  return { kind: "shift", rows: rows.with(step, neighbour).with(step + by, row) };
}

/**
 * Changes within the budget, the most promising of each kind first: one step does more, and where that
 * costs too much others do less. They pay by what is expected to cost least accuracy for its price, by
 * kept states alone, or by the one row that covers the price.
 */
export function exchanges(
  rows: readonly Row[],
  modules: readonly string[],
  prospects: Prospects,
): readonly Move[] {
  const { price, budget, expected } = prospects;
  const changes = changesOf(rows, modules, prospects);
  const spare = budget - rows.reduce((sum, row) => sum + price(row), 0);
  const savings = changes.filter(({ saved }) => saved > 0)
    .toSorted((a, b) => a.harm / a.saved - b.harm / b.saved);
  const states = savings.filter(({ row }) => row.kind === "state");
  const moves = new Map<string, Move>(
    changes.filter(({ saved }) => saved <= 0).flatMap((change) =>
      waysToPay(change, { spare, savings, states }).map((paid) => moveOf(rows, paid))
    ).map((move) => [textOf(move.rows), move]),
  );
  const better = oneEach(savings.filter(({ harm }) => harm < 0));
  for (const cheaper of [better, ...savings.map((saving) => [saving])]) {
    const move = moveOf(rows, cheaper);
    moves.set(textOf(move.rows), move);
  }
  const ranked = [...moves.values()]
    .map((move) => ({ move, error: expected(move.rows) }))
    .toSorted((a, b) => a.error - b.error)
    .map(({ move }) => move);
  return inTurn([...grouped(ranked, ({ kind }) => kind).values()]);
}

/** The first of each list, then the second of each, …: no kind of move crowds out another. */
function inTurn<T>(lists: readonly (readonly T[])[]): T[] {
  const longest = Math.max(0, ...lists.map(({ length }) => length));
  return Array.from({ length: longest }, (_, i) => lists.flatMap((list) => list.slice(i, i + 1)))
    .flat();
}

/** One row that becomes another. */
interface Change {
  readonly step: number;
  readonly row: Row;
  /** Multiply-accumulates less than before; negative when it costs more. */
  readonly saved: number;
  /** How much more error is expected. */
  readonly harm: number;
}

function changesOf(
  rows: readonly Row[],
  modules: readonly string[],
  { price, expected }: Prospects,
): Change[] {
  const before = expected(rows);
  const { length } = modules;
  const options = [evenRow("run", length), evenRow("reuse", length), ...partialRows(modules)];
  return rows.flatMap((current, step) =>
    step === 0 ? [] : options.filter(({ text }) => text !== current.text).map((row) => ({
      step,
      row,
      saved: price(current) - price(row),
      harm: expected(rows.with(step, row)) - before,
    }))
  );
}

interface Funds {
  readonly spare: number;
  readonly savings: readonly Change[];
  readonly states: readonly Change[];
}

/** A change with those that pay for it: up to three ways, none when it cannot be paid. */
function waysToPay(change: Change, { spare, savings, states }: Funds): readonly Change[][] {
  const missing = -change.saved - spare;
  if (missing <= 0) return [[change]];
  const others = savings.filter(({ step }) => step !== change.step);
  const covering = others.filter(({ saved }) => saved >= missing)
    .reduce<Change | undefined>(
      (best, next) => best && best.harm <= next.harm ? best : next,
      undefined,
    );
  return [
    collect(others, missing),
    collect(states.filter(({ step }) => step !== change.step), missing),
    covering && [covering],
  ].flatMap((paid) => paid === undefined ? [] : [[change, ...paid]]);
}

/** The first savings, one a step, that are enough together. */
function collect(savings: readonly Change[], missing: number): Change[] | undefined {
  const taken: Change[] = [];
  let saved = 0;
  for (const saving of oneEach(savings)) {
    if (saved >= missing) break;
    taken.push(saving);
    saved += saving.saved;
  }
  return saved >= missing ? taken : undefined;
}

/** The first change of each step. */
function oneEach(changes: readonly Change[]): Change[] {
  const first = new Map<number, Change>();
  for (const change of changes) if (!first.has(change.step)) first.set(change.step, change);
  return [...first.values()];
}

function moveOf(rows: readonly Row[], changes: readonly Change[]): Move {
  const changed = changes.reduce((all, { step, row }) => all.with(step, row), rows);
  return { kind: kindOf(changes), rows: changed };
}

function kindOf(changes: readonly Change[]): MoveKind {
  if (changes.some(({ row }) => row.kind === "state")) return "state";
  return changes.some(({ row }) => computes(row) && !isFull(row)) ? "cells" : "steps";
}
