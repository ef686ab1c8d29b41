import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { PlanError } from "../../src/errors.ts";
import { compilePlan, type TrunkStep } from "../../src/plan/compile.ts";
import {
  type FeatureSizes,
  type ModelCost,
  peakLiveBytes,
  predictSpeedup,
  stepMacs,
} from "../../src/plan/cost.ts";
import { formatPlan } from "../../src/plan/format.ts";
import { parsePlan } from "../../src/plan/parse.ts";
import type { Plan } from "../../src/plan/plan.ts";
import { textOf } from "../../src/plan/row.ts";
import { anyPlanOrNone, examplePlan, runnable } from "./example_plans.ts";
import { runCompiled, runNaive } from "./toy.ts";

const at = { slot: "joint" };
const sizes: FeatureSizes = { modules: [1, 10], hidden: 100, residual: 1000 };

Deno.test("compilePlan() stores only what a later step loads and drops it after its last load", () => {
  const { steps } = compilePlan(examplePlan(["..", "r.", "r.", ".."]));
  const keep = { storeHidden: false, storeResidual: false };
  assertEquals(steps, [
    {
      kind: "full",
      ...at,
      index: 0,
      ...keep,
      actions: [{ kind: "run", keep: 1 }, { kind: "run", keep: 0 }],
    },
    {
      kind: "mixed",
      ...at,
      index: 1,
      ...keep,
      actions: [{ kind: "reuse", keep: 1 }, { kind: "run", keep: 0 }],
    },
    {
      kind: "mixed",
      ...at,
      index: 2,
      ...keep,
      actions: [{ kind: "reuse", keep: 0 }, { kind: "run", keep: 0 }],
    },
    {
      kind: "full",
      ...at,
      index: 3,
      ...keep,
      actions: [{ kind: "run", keep: 0 }, { kind: "run", keep: 0 }],
    },
  ]);
});

Deno.test("compilePlan() keeps the hidden state for =, the residual for +, each to its last load", () => {
  const { steps } = compilePlan(examplePlan(["..", "=", "+", "=", "..", "+"]));
  assertEquals(
    steps.map((step) =>
      "load" in step
        ? [step.load, step.drop]
        : "actions" in step && [step.storeHidden, step.storeResidual]
    ),
    [
      [true, true],
      ["hidden", false],
      ["residual", true],
      ["hidden", true],
      [false, true],
      ["residual", true],
    ],
  );
});

Deno.test("compilePlan() lets a module reuse a feature from before a reused step", () => {
  const compiled = compilePlan(examplePlan(["..", "=", "rr", "r."]));
  assertEquals(compiled.steps.map(({ kind }) => kind), ["full", "reuse", "mixed", "mixed"]);
  assertEquals(compiled.maxStaleness, 3);
});

Deno.test("compilePlan() takes the hidden state from a mixed step too", () => {
  const { steps } = compilePlan(examplePlan(["..", ".r", "="]));
  assertEquals((steps[1] as TrunkStep).storeHidden, true); // the row above says that it is mixed
  assertEquals(compilePlan(examplePlan(["..", ".r", "="])).maxStaleness, 1);
});

Deno.test("compilePlan() keeps slots apart and gives their calls in order", () => {
  const plan = examplePlan(["..", "="], {
    slots: ["cond", "uncond"],
    rows: [["..", ".."], ["=", "r."]],
  });
  const compiled = compilePlan(plan);
  assertEquals(
    compiled.steps.map(({ index, slot, kind }) => [index, slot, kind]),
    [[0, "cond", "full"], [0, "uncond", "full"], [1, "cond", "reuse"], [1, "uncond", "mixed"]],
  );
  assertEquals(peakLiveBytes(compiled, sizes), 101);
});

Deno.test("peakLiveBytes() counts what a step stores while what it loads is still kept", () => {
  const peak = (rows: readonly string[]) => peakLiveBytes(compilePlan(examplePlan(rows)), sizes);
  assertEquals(peak(["..", ".."]), 0);
  assertEquals(peak(["..", "="]), 100);
  assertEquals(peak(["..", "=", "+"]), 1100);
  assertEquals(peak(["..", "r.", ".r"]), 11); // step 1 loads module 0 and stores module 1
  assertEquals(peak(["..", "r.", "..", ".r"]), 10);
});

Deno.test("predictSpeedup() prices heads, merges and embeddings that always run", () => {
  const cost: ModelCost = {
    embed: 2,
    head: 3,
    modules: [{ branch: 40, merge: 5 }, { branch: 49, merge: 1 }],
  };
  const compiled = compilePlan(examplePlan(["..", "=", "+", "r.", "rr"]));
  assertEquals(compiled.steps.map((step) => stepMacs(step, cost)), [100, 3, 5, 60, 11]);
  assertEquals(predictSpeedup(compiled, cost), 500 / 179);
  assertEquals(predictSpeedup(compilePlan(examplePlan(["..", ".."])), cost), 1);
});

Deno.test("prices are refused for another number of modules", () => {
  const compiled = compilePlan(examplePlan(["..", "="]));
  const message = "Cannot price plan: modules must be 2: current value is 0";
  assertThrows(() => peakLiveBytes(compiled, { ...sizes, modules: [] }), PlanError, message);
  const cost = { embed: 1, head: 1, modules: [] };
  assertThrows(() => predictSpeedup(compiled, cost), PlanError, message);
});

Deno.test("any plan runs to its end and loads after stores, unless parsePlan() refuses its loads", () => {
  let ran = 0;
  fc.assert(
    fc.property(anyPlanOrNone, (plan) => {
      const parsed = parseOrRefuse(plan);
      if (parsed === undefined) return;
      const compiled = compilePlan(parsed);
      const sizes = {
        modules: parsed.modules.map((_, m) => 2 ** m),
        hidden: 2 ** 20,
        residual: 2 ** 21,
      };
      const run = runCompiled(compiled, sizes);
      assertEquals(run.left, []);
      assertEquals(run.peakBytes, peakLiveBytes(compiled, sizes));
      assertEquals(run.oldest, compiled.maxStaleness);
      assertEquals(run.outputs, runNaive(parsed));
      ran++;
    }),
    { numRuns: 1000 },
  );
  assert(ran > 300, `only ${ran} of 1000 plans parsed`);
});

/** Refused only when a step loads more than was made before it. */
function parseOrRefuse(plan: Plan): Plan | undefined {
  const runs = plan.slots.every((_, s) => {
    const rows = plan.rows.map((row) => row[s]!);
    return textOf(runnable(rows, plan.modules.length)) === textOf(rows);
  });
  if (runs) return parsePlan(formatPlan(plan));
  assertThrows(() => parsePlan(formatPlan(plan)), PlanError, "must be computed, for");
  return undefined;
}

Deno.test("compilePlan() lets a forecast step keep, load and drop nothing", () => {
  const plan = examplePlan(["..", "=", "~", "=", "~", "r."], {
    version: 2,
    columns: { forecast: [null, null, [0, 1], null, [0, 1], null] },
  });
  const { steps, maxStaleness } = compilePlan(plan);
  assertEquals(steps[2], { kind: "forecast", index: 2, slot: "joint" });
  assertEquals(steps.map(({ kind }) => kind), [
    ...["full", "reuse", "forecast", "reuse", "forecast", "mixed"],
  ]);
  assertEquals(maxStaleness, 5);
  const cost = { embed: 1, head: 1, modules: [{ branch: 4, merge: 1 }, { branch: 4, merge: 1 }] };
  assertEquals(steps.map((step) => stepMacs(step, cost)), [12, 1, 0, 1, 0, 8]);
});
