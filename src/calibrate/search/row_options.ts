/**
 * What a search lets one step of a plan do: the rows between "run everything" and "reuse everything" that
 * are worth measuring.
 */

import { readModuleName } from "../../plan/module_name.ts";
import { type CallRow, computes, isFull, reuseRow, STATE_ROWS } from "../../plan/row.ts";

/**
 * Rows that reuse something and not simply every feature: the kept hidden state, the kept residual, and
 * rows that run the modules of one kind only, or a half, a quarter or three quarters of the depth.
 *
 * All subsets of the modules would be 2ⁿ; errors of neighbours in depth are alike, and so are those of a kind.
 */
export function partialRows(modules: readonly string[]): readonly CallRow[] {
  const kinds = modules.map((module) => readModuleName(module).kind);
  const groups = [
    ...[...new Set(kinds)].map((kind) => kinds.map((other) => other === kind)),
    ...[0, 1].map((half) => modules.map((_, m) => partOf(m, modules.length, 2) === half)),
    ...[0, 1, 2, 3].map((part) => modules.map((_, m) => partOf(m, modules.length, 4) === part)),
  ];
  const rows = groups.flatMap((group) => [reuseRow(group.map((runs) => !runs)), reuseRow(group)]);
  const distinct = new Map(rows.map((row) => [row.text, row]));
  const partial = [...distinct.values()].filter((row) => computes(row) && !isFull(row));
  return [STATE_ROWS.hidden, STATE_ROWS.residual, ...partial];
}

function partOf(module: number, count: number, parts: number): number {
  return Math.floor(module * parts / count);
}
