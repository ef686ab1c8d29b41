import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { exchanges, shift } from "../../../src/calibrate/search/moves.ts";
import { partialRows } from "../../../src/calibrate/search/row_options.ts";
import {
  type Measured,
  type SearchProblem,
  searchRows,
} from "../../../src/calibrate/search/search.ts";
import { type CompiledPlan, compilePlan } from "../../../src/plan/compile.ts";
import { type ModelCost, predictSpeedup, rowMacs, stepMacs } from "../../../src/plan/cost.ts";
import { isFull, type Row, textOf } from "../../../src/plan/row.ts";
import { examplePlan, rowsOf } from "../../plan/example_plans.ts";

const MODULES = ["0.attn", "0.mlp", "1.attn", "1.mlp"];
const STEPS = 8;
const [FULL, REUSE, HIDDEN, RESIDUAL, MLP, THREE] = rowsOf(
  ["....", "rrrr", "=", "+", "r.r.", "r.rr"],
  MODULES,
) as [Row, Row, Row, Row, Row, Row]; // as many as there are texts
/** Costly merges, so that a kept state is much cheaper than kept features. */
const COST: ModelCost = {
  embed: 1,
  head: 1,
  modules: MODULES.map(() => ({ branch: 10, merge: 4 })),
};

/** A world in which a plan's error is a sum over its steps. */
interface World {
  /** Error of a step that reuses something. */
  readonly errorOf: (row: Row, step: number) => number;
  /** Plans to begin with. */
  readonly starts: SearchProblem<Measured>["starts"];
  /** Whether expectations are right; else they say nothing. */
  readonly foreseen: boolean;
}

interface Watched extends SearchProblem<Measured> {
  /** All rows that were measured, in order. */
  readonly heard: (readonly Row[])[];
}

function problemOf({ errorOf, starts, foreseen }: World): Watched {
  const heard: (readonly Row[])[] = [];
  const errorOfAll = (rows: readonly Row[]): number =>
    rows.reduce((sum, row, step) => sum + (isFull(row) ? 0 : errorOf(row, step)), 1e-3);
  return {
    modules: MODULES,
    cost: COST,
    starts,
    expected: foreseen ? errorOfAll : () => 0,
    measure: (rows) => {
      heard.push(rows);
      return Promise.resolve({ rows, psnr: -10 * Math.log10(errorOfAll(rows)) });
    },
    heard,
  };
}

function evenly(every: number): readonly Row[] {
  return Array.from({ length: STEPS }, (_, step) => step % every === 0 ? FULL : REUSE);
}

function speedupOf(rows: readonly Row[]): number {
  return predictSpeedup(compiled(rows), COST);
}

function compiled(rows: readonly Row[]): CompiledPlan {
  return compilePlan(examplePlan(rows.map(({ text }) => text), { modules: MODULES }));
}

Deno.test("rowMacs() is stepMacs() of the compiled row", () => {
  for (const row of [FULL, REUSE, MLP, HIDDEN, RESIDUAL]) {
    const { steps } = compiled([FULL, row]);
    assertEquals(rowMacs(row, COST), stepMacs(steps[1]!, COST));
  }
});

Deno.test("partialRows() has kept states, kinds and stretches of the depth, each once", () => {
  assertEquals(
    partialRows(MODULES).map(({ text }) => text).toSorted(),
    [
      "+",
      "=",
      "...r",
      "..r.",
      "..rr",
      ".r..",
      ".r.r",
      ".rrr",
      "r...",
      "r.r.",
      "r.rr",
      "rr..",
      "rr.r",
      "rrr.",
    ]
      .toSorted(),
  );
  assertEquals<readonly Row[]>(partialRows(["0.attn"]), [HIDDEN!, RESIDUAL!]);
});

Deno.test("shift() moves computed steps to steps that compute nothing, never the first", () => {
  const rows = [FULL, HIDDEN, THREE, REUSE, FULL];
  assertEquals(shift(rows, 2, -1), { kind: "shift", rows: [FULL, THREE, HIDDEN, REUSE, FULL] });
  assertEquals(shift(rows, 2, 1)?.rows, [FULL, HIDDEN, REUSE, THREE, FULL]);
  const none = [
    shift(rows, 1, -1),
    shift(rows, 1, 1),
    shift(rows, 4, 1),
    shift([FULL, FULL], 1, -1),
  ];
  assertEquals(none, [undefined, undefined, undefined, undefined]);
  assertEquals(shift([FULL, REUSE], 0, 1), undefined);
});

Deno.test("a kept state that is as good as kept features pays for another full step", async () => {
  const start = evenly(2);
  const problem = problemOf({
    errorOf: (_, step) => 1 + step / 100,
    starts: new Map([["start", start]]),
    foreseen: true,
  });
  const speedup = speedupOf(start);
  const found = await searchRows(problem, { speedup, trials: 100 });
  assert(found.rows.filter(isFull).length > start.filter(isFull).length);
  assert(found.rows.includes(HIDDEN) && found.moves.state > 0);
  assert(speedupOf(found.rows) >= speedup);
});

Deno.test("modules whose reuse costs nothing pay for steps that run the others", async () => {
  const start = evenly(2);
  const errorOf = ({ text }: Row): number => text === MLP.text ? 0.01 : 1; // only mlp must be fresh
  const problem = problemOf({ errorOf, starts: new Map([["start", start]]), foreseen: true });
  const speedup = speedupOf(start);
  const found = await searchRows(problem, { speedup, trials: 100 });
  assert(found.rows.some(({ text }) => text === MLP.text) && found.moves.cells > 0);
  assert(found.rows.filter(({ text }) => text === REUSE.text).length < 4);
  assert(speedupOf(found.rows) >= speedup);
});

Deno.test("a search keeps the best start, and passes over one that is too slow", async () => {
  const starts = new Map([["slow", evenly(1)], ["late", evenly(4)], ["even", evenly(2)]]);
  const problem = problemOf({ errorOf: () => 1, starts, foreseen: false });
  const found = await searchRows(problem, { speedup: speedupOf(evenly(2)), trials: 2 });
  assertEquals([found.start, found.rows, problem.heard.length], ["even", evenly(2), 2]);
  await assertRejects(
    () => searchRows(problem, { speedup: 30, trials: 9 }),
    RangeError,
    "no plan to begin with reaches the target speed-up of 30.",
  );
});

Deno.test("no search measures a plan twice, over the budget, or after its last trial", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.double({ min: 0.01, max: 2, noNaN: true }), { minLength: 14, maxLength: 14 }),
      fc.boolean(),
      fc.integer({ min: 1, max: 60 }),
      async (errors, foreseen, trials) => {
        const options = [REUSE, ...partialRows(MODULES)];
        const errorOf = ({ text }: Row, step: number): number =>
          (errors[options.findIndex((row) => row.text === text)] ?? 1) * (1 + step);
        const starts = new Map([["a", evenly(4)], ["b", evenly(3)]]);
        const speedup = speedupOf(evenly(3));
        const problem = problemOf({ errorOf, starts, foreseen });
        const found = await searchRows(problem, { speedup, trials });
        assert(problem.heard.length <= trials);
        assertEquals(new Set(problem.heard.map(textOf)).size, problem.heard.length);
        for (const rows of problem.heard) assert(speedupOf(rows) >= speedup); // and compiles
        const best = Math.max(
          ...await Promise.all(
            problem.heard.map(async (rows) => (await problem.measure(rows, undefined)).psnr),
          ),
        );
        assertEquals(found.psnr, best);
        const again = await searchRows(problemOf({ errorOf, starts, foreseen }), {
          speedup,
          trials,
        });
        assertEquals(again, found);
      },
    ),
    { numRuns: 40, seed: 3 },
  );
});

Deno.test("exchanges() takes turns between kinds of moves, the most promising of each first", () => {
  const worth = new Map([[FULL.text, 0], [HIDDEN.text, 3], [REUSE.text, 2]]);
  const expected = (rows: readonly Row[]): number =>
    rows.reduce((sum, row) => sum + (worth.get(row.text) ?? 1), 0);
  const rows = evenly(2);
  const price = (row: Row): number => rowMacs(row, COST);
  const budget = rows.reduce((sum, row) => sum + price(row), 0);
  const moves = exchanges(rows, MODULES, { price, budget, expected });
  assertEquals(
    new Set(moves.slice(0, 3).map(({ kind }) => kind)),
    new Set(["state", "cells", "steps"]),
  );
  for (const kind of ["state", "cells", "steps"]) {
    const errors = moves.filter((move) => move.kind === kind).map((move) => expected(move.rows));
    assertEquals(errors, errors.toSorted((a, b) => a - b));
  }
});
