import { assertAlmostEquals, assertEquals } from "@std/assert";
import { compilePlan } from "../../src/plan/compile.ts";
import { type ModelCost, peakLiveBytes, predictSpeedup } from "../../src/plan/cost.ts";
import type { Plan } from "../../src/plan/plan.ts";
import { publishedDitPlan, publishedFluxFastPlan } from "./published_plans.ts";

/** MACs of DiT-XL/2 at 256² without embed and head, which the published numbers leave out. */
const ditCost: ModelCost = {
  embed: 0,
  head: 0,
  modules: Array.from(
    { length: 28 },
    () => [{ branch: 0.357, merge: 0 }, { branch: 0.643, merge: 0 }],
  ).flat(),
};

/** Shares of FLUX.1-dev; the output projection of single blocks (22.2 %) is never left out. */
const fluxShares: Readonly<Record<string, number>> = {
  "transformer_blocks attn": 15.6 / 19,
  "transformer_blocks ff": 15.8 / 19,
  "transformer_blocks context_ff": 2.0 / 19,
  "single_transformer_blocks attn": 26.7 / 38,
  "single_transformer_blocks mlp": 17.8 / 38,
};

/** Counts of reused cells of a kind over all computed steps. */
function cells(plan: Plan, ending: string): number {
  return plan.rows.reduce((sum, [row]) =>
    sum +
    plan.modules.filter((name, m) => name.endsWith(ending) && row![m] === "r").length, 0);
}

/** The same plan with every module of a computed step run. */
function stepsOnly(plan: Plan): Plan {
  return { ...plan, rows: plan.rows.map(([row]) => [row!.replaceAll("r", ".")]) };
}

Deno.test("predictSpeedup() gives 2.963 for the structure of DiT fast, 2.5 for its steps alone", () => {
  const plan = publishedDitPlan("fast");
  assertEquals([cells(plan, ".attn"), cells(plan, ".mlp")], [85, 89]);
  assertAlmostEquals(predictSpeedup(compilePlan(plan), ditCost), 2.963, 5e-4); // table: 3 decimals
  assertAlmostEquals(predictSpeedup(compilePlan(stepsOnly(plan)), ditCost), 2.5, 1e-9);
});

Deno.test("predictSpeedup() gives 2.627 for the structure of DiT slow, 2.381 for its steps alone", () => {
  const plan = publishedDitPlan("slow");
  assertEquals([cells(plan, ".attn"), cells(plan, ".mlp")], [55, 55]);
  assertAlmostEquals(predictSpeedup(compilePlan(plan), ditCost), 2.627, 5e-4); // table: 3 decimals
  assertAlmostEquals(predictSpeedup(compilePlan(stepsOnly(plan)), ditCost), 2.381, 5e-4);
});

Deno.test("predictSpeedup() gives 3.537 for the structure of FLUX fast with its projection always run", () => {
  const plan = publishedFluxFastPlan();
  const modules = plan.modules.map((name) => {
    const [blocks, , part] = name.split(".");
    const merge = name.startsWith("single") && part === "mlp" ? 22.2 / 38 : 0;
    return { branch: fluxShares[`${blocks} ${part}`]!, merge };
  });
  // The shares are given to 0.1 % and add up to 100.1: so ± 0.005.
  const cost = { embed: 0, head: 0, modules };
  assertAlmostEquals(predictSpeedup(compilePlan(plan), cost), 3.537, 5e-3);
  assertAlmostEquals(predictSpeedup(compilePlan(stepsOnly(plan)), cost), 2.545, 5e-4);
});

Deno.test("the structure of DiT fast keeps at most 54 results at once, the oldest for 14 steps", () => {
  const compiled = compilePlan(publishedDitPlan("fast"));
  const sizes = { modules: compiled.plan.modules.map(() => 1), hidden: 1, residual: 1 };
  assertEquals(compiled.maxStaleness, 14);
  assertEquals(compiled.steps.filter(({ kind }) => kind === "reuse").length, 30);
  assertEquals(compiled.steps.filter(({ kind }) => kind === "mixed").length, 4);
  assertEquals(peakLiveBytes(compiled, sizes), 54);
});

Deno.test("a published structure at another depth keeps its steps and shares of cells", () => {
  const plan = publishedDitPlan("fast", 12);
  assertEquals(plan.modules.length, 24);
  assertEquals(plan.rows[20]![0]!.match(/r/g)?.length, 23);
});
