/**
 * TeaCache for a model of one's own: its polynomial is fitted on runs in full, and its rule, asked of their mean
 * changes, gives a plan. The coefficients are in the plan, for `generate --policy teacache:c4=…` to decide by at run
 * time.
 *
 * *Source:* arXiv 2411.19108 and its published code: degree 4, least squares over pairs of neighbouring steps. What
 * changes is measured of the residual, which is what is reused: our reading.
 */

import { accumulated } from "../../engine/policies/teacache.ts";
import { STATE_ROWS } from "../../plan/row.ts";
import { leastSquares } from "../fit/least_squares.ts";
import { mean } from "../median.ts";
import type { Policy } from "./policy.ts";
import { rowsWhere } from "./rows.ts";
import { type Change, recordChanges } from "./step_changes.ts";

const SETTINGS = {
  threshold: { words: "most that foretold changes add up to", or: 0.25, least: 0 },
} as const;

/** The policy. */
export const TEACACHE: Policy<typeof SETTINGS> = {
  words: "reuse the residual while the first block's input has moved little",
  settings: SETTINGS,
  record: async (task, { threshold }) => {
    const changes = await recordChanges(task);
    const [c0 = 0, c1 = 0, c2 = 0, c3 = 0, c4 = 0] = fitPolynomial(changes.flat());
    const decide = accumulated({ threshold, c4, c3, c2, c1, c0 }, task);
    const modules = task.pipeline.model.transformer.modules.length;
    const inputs = changes.map((each) => mean(each.map(({ input }) => input)));
    const computed = [0, ...inputs].map((input, step) => decide(step, input) === "run");
    const rows = rowsWhere(computed, { modules, other: STATE_ROWS.residual });
    return { rows, recorded: { c4, c3, c2, c1, c0 } };
  },
};

/** Digits of a coefficient, as published ones have them. */
const DIGITS = 9;
const DEGREE = 4;

/** Coefficients, the lowest first, that come nearest to the changes of outputs. */
export function fitPolynomial(changes: readonly Change[]): readonly number[] {
  const powers = changes.map(({ input }) =>
    Array.from({ length: DEGREE + 1 }, (_, j) => input ** j)
  );
  const sum = (of: (row: readonly number[], i: number) => number): number =>
    powers.reduce((all, row, i) => all + of(row, i), 0);
  const orders = Array.from({ length: DEGREE + 1 }, (_, j) => j);
  const gram = orders.map((j) => orders.map((k) => sum((row) => row[j]! * row[k]!)));
  const target = orders.map((j) => sum((row, i) => row[j]! * changes[i]!.output)); // a row for each
  return leastSquares({ gram, target }, RIDGE).map((value) => Number(value.toPrecision(DIGITS)));
}

/** Small: powers of small changes are nearly parallel. */
const RIDGE = 1e-10;
