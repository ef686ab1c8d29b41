import { assertAlmostEquals, assertEquals } from "@std/assert";
import { featureSizes, modelCost } from "../../src/engine/plan_facts.ts";
import { parseFluxConfig } from "../../src/model/flux/config.ts";
import { fluxModel } from "../../src/model/flux/open.ts";
import { compilePlan } from "../../src/plan/compile.ts";
import { type ModelCost, peakLiveBytes, predictSpeedup } from "../../src/plan/cost.ts";
import type { Plan } from "../../src/plan/plan.ts";
import { rowsOf } from "./example_plans.ts";
import {
  FLUX_MODES,
  publishedDitPlan,
  publishedFluxFastPlan,
  publishedFluxPlan,
} from "./published_plans.ts";

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
    plan.modules.filter((name, m) => name.endsWith(ending) && row!.text[m] === "r").length, 0);
}

/** The same plan with every module of a computed step run. */
function stepsOnly(plan: Plan): Plan {
  const rows = plan.rows.map(([row]) => rowsOf([row!.text.replaceAll("r", ".")], plan.modules));
  return { ...plan, rows };
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

for (
  const [mode, published] of [["medium-1", 3.005], ["medium-2", 2.716], ["slow", 2.534]] as const
) {
  Deno.test(`predictSpeedup() gives ${published} for the structure of FLUX ${mode} with its projection always run`, () => {
    const plan = publishedFluxPlan(mode);
    const modules = plan.modules.map((name) => {
      const [blocks, , part] = name.split(".");
      const merge = name.startsWith("single") && part === "mlp" ? 22.2 / 38 : 0;
      return { branch: fluxShares[`${blocks} ${part}`]!, merge };
    });
    // As above.
    assertAlmostEquals(
      predictSpeedup(compilePlan(plan), { embed: 0, head: 0, modules }),
      published,
      5e-3,
    );
  });
}

Deno.test("FLUX.1-dev keeps half of what a run-time cache of the published code keeps, or less", () => {
  const { transformer } = fluxModel(parseFluxConfig({ guidance_embeds: true }));
  const kept = FLUX_MODES.map((mode) => {
    const compiled = compilePlan(publishedFluxPlan(mode));
    return peakLiveBytes(compiled, featureSizes(transformer, 1));
  });
  // Bytes in float32; the reference keeps 6.46 GB in bfloat16, which would be 12.9 GB.
  assertEquals(kept, [6_429_868_032, 3_227_516_928, 3_227_516_928, 6_109_003_776]);
});

Deno.test("predictSpeedup() of FLUX.1-dev leaves projections out where both features are reused", () => {
  const { transformer } = fluxModel(parseFluxConfig({ guidance_embeds: true }));
  const cost = modelCost(transformer);
  const total = cost.embed + cost.head +
    cost.modules.reduce((sum, { branch, merge }) => sum + branch + merge, 0);
  assertAlmostEquals(total / 1e12, 37.18, 0.01); // the published count of a forward pass
  const predicted = FLUX_MODES.map((mode) =>
    predictSpeedup(compilePlan(publishedFluxPlan(mode)), cost).toFixed(3)
  );
  assertEquals(predicted, ["3.980", "3.063", "2.763", "2.735"]);
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
  assertEquals(plan.rows[20]![0]!.text.match(/r/g)?.length, 23);
});
