import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { compilePlan } from "../../src/plan/compile.ts";
import { formatPlan } from "../../src/plan/format.ts";
import { checkLoads } from "../../src/plan/liveness.ts";
import { parsePlan } from "../../src/plan/parse.ts";
import { restOfPlan } from "../../src/plan/rest.ts";
import { anyPlan, examplePlan, type PlanChanges, textsOf } from "./example_plans.ts";

const CASES: readonly (readonly [from: number, rows: string[], rest: string[], changed: number])[] =
  [
    [0, ["..", "r.", "="], ["..", "r.", "="], 0],
    [1, ["..", "..", "r.", "="], ["..", "r.", "="], 0], // stands alone
    [1, ["..", "r.", "rr", ".r"], ["..", "rr", ".r"], 1],
    [2, ["..", "r.", "=", "rr", "+"], ["..", "rr", "+"], 1],
    [2, ["..", "..", "+", "r.", "rr"], ["..", "r.", "rr"], 1],
    [1, ["..", ".r", "rr"], ["..", "rr"], 1],
  ];

for (const [from, rows, rest, changed] of CASES) {
  Deno.test(`restOfPlan() of ${rows.join(" ")} from step ${from} is ${rest.join(" ")}`, () => {
    const found = restOfPlan(examplePlan(rows), from);
    assertEquals(textsOf(found.plan), rest.map((row) => [row]));
    assertEquals(found.changed, changed);
    assertEquals(found.plan.sampler.times, examplePlan(rows).sampler.times.slice(from));
  });
}

Deno.test("a step that weighs outputs of steps that are left out follows the solver's rule", () => {
  const changes: PlanChanges = {
    version: 2,
    columns: {
      update: [[1, 2], [1, 2, 3], [1, 2, 3, 4], null, [1, 2, 3]],
      forecast: [null, null, null, [0, 1, 1], null],
    },
  };
  const plan = parsePlan(formatPlan(examplePlan(["..", "..", "..", "~", "rr"], changes)));
  const one = restOfPlan(plan, 1);
  assertEquals(textsOf(one.plan), ["..", "..", "~", "rr"].map((row) => [row]));
  assertEquals(one.plan.columns, {
    update: [null, null, null, [1, 2, 3]],
    forecast: [null, null, [0, 1, 1], null],
  });
  assertEquals(one.changed, 2); // both of the updates that weigh more than there is
  const two = restOfPlan(plan, 2);
  assertEquals(textsOf(two.plan), [[".."], [".."], ["rr"]]); // too few outputs to forecast of
  assertEquals(two.plan.columns, { update: [null, null, [1, 2, 3]], forecast: [null, null, null] });
  for (const { plan } of [one, two]) assertEquals(parsePlan(formatPlan(plan)), plan);
});

Deno.test("a cell that weighs features of steps that are left out runs, and its weights go", () => {
  const features = [null, null, [[2, -1], [1.5], [2, -1]], [[0.5, 0.5]]];
  const plan = parsePlan(formatPlan(examplePlan(["....", "....", "xx.x", "..x."], {
    version: 2,
    columns: { features },
  })));
  const one = restOfPlan(plan, 1);
  assertEquals(textsOf(one.plan), ["....", ".x..", "..x."].map((row) => [row]));
  assertEquals(one.plan.columns, { features: [null, [[1.5]], [[0.5, 0.5]]] });
  assertEquals(one.changed, 1);
  const two = restOfPlan(plan, 2);
  assertEquals(textsOf(two.plan), [["...."], ["...."]]);
  assertEquals(two.plan.columns, { features: [null, null] });
  for (const { plan } of [one, two]) assertEquals(parsePlan(formatPlan(plan)), plan);
});

Deno.test("the rest of any plan stands alone, and computes no less than the plan", () => {
  fc.assert(
    fc.property(anyPlan, fc.nat(7), (plan, at) => {
      const from = at % plan.rows.length;
      const { plan: rest, changed } = restOfPlan(plan, from);
      checkLoads(rest, "use plan");
      compilePlan(rest);
      assertEquals(rest.rows.length, plan.rows.length - from);
      const before = textsOf(plan).slice(from);
      const differs = textsOf(rest).filter((row, step) => `${row}` !== `${before[step]}`).length;
      assert(plan.columns === undefined ? differs === changed : differs <= changed);
      for (const [step, row] of rest.rows.entries()) {
        for (const [s, { text }] of row.entries()) {
          const planned = before[step]![s]!; // as many
          const runs = planned.length === text.length &&
            [...planned].every((mark, m) => mark !== "." || text[m] === ".");
          assert(runs || !planned.includes("."), `${planned} became ${text}`);
        }
      }
      if (from === 0) assertEquals(rest, plan);
    }),
    { seed: 1, numRuns: 200 },
  );
});
