import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import {
  bundledPlans,
  earlierPlans,
  findPlan,
  loadPlan,
  planOfDigest,
} from "../../src/engine/bundled_plans.ts";
import { FASHION_DIT } from "../fashion_dit.ts";
import { modelCost, plannedTimes, planTarget, sceneOfPlan } from "../../src/engine/plan_facts.ts";
import { PlanError } from "../../src/errors.ts";
import type { Model } from "../../src/model/model.ts";
import { openModel } from "../../src/model/open_model.ts";
import { compilePlan } from "../../src/plan/compile.ts";
import { predictSpeedup } from "../../src/plan/cost.ts";
import { checkPlanFits } from "../../src/plan/fit.ts";
import { planDigest } from "../../src/plan/digest.ts";
import { formatPlan } from "../../src/plan/format.ts";

const FOLDER = new URL("../../plans/", import.meta.url);

Deno.test("every plan in plans/ is bundled, in canonical form and at most 8 KB, and every earlier one loads", async () => {
  for (const [plans, folder] of [[bundledPlans, "./"], [earlierPlans, "earlier/"]] as const) {
    const at = new URL(folder, FOLDER);
    const names = [...Deno.readDirSync(at)].map(({ name }) => name)
      .filter((name) => name.endsWith(".json") && name !== "plan.schema.json");
    assertEquals(names.sort(), plans.map((name) => `${name}.json`).toSorted());
    for (const name of plans) {
      const text = await Deno.readTextFile(new URL(`${name}.json`, at));
      assertEquals(formatPlan(loadPlan(name)), text);
      assertEquals(new TextEncoder().encode(text).length <= 8192, true);
    }
  }
});

Deno.test("planOfDigest() finds replaced plans too, whatever their name was", () => {
  for (const name of [...bundledPlans, ...earlierPlans]) {
    assertEquals(planOfDigest(planDigest(loadPlan(name)))?.name, name);
  }
  assertEquals(planOfDigest("sha256:0"), undefined);
});

Deno.test("a fitted plan says what it loses at other scales of guidance, and of a replaced one only the name is another", () => {
  for (const name of bundledPlans) {
    const { context: { guidance, guidanceLossDb = [] } } = loadPlan(name);
    assertEquals(guidanceLossDb.length >= 3, true, name);
    assertEquals(guidanceLossDb.some(([scale]) => scale === guidance), false);
  }
  for (const name of ["fashion-dit.8x", "peeps-flux.2x", "peeps-flux.3x", "peeps-flux.4x"]) {
    const [now, before] = [loadPlan(name), loadPlan(`${name}.1`)];
    assertEquals(now.sampler.times.length, before.sampler.times.length);
    assertEquals(planDigest(now) === planDigest(before), false);
    assertEquals(planOfDigest(planDigest(before))?.name, `${name}.1`);
  }
});

Deno.test("the table in plans/README.md has what each bundled plan says of itself", async () => {
  const text = await Deno.readTextFile(new URL("README.md", FOLDER));
  const rows = bundledPlans.map((name) => {
    const { sampler: { times }, reference, measured, context } = loadPlan(name);
    const losses = (context.guidanceLossDb ?? []).map(([scale, lost]) =>
      `${scale}: ${tenths(lost)}`
    );
    const { truthPsnrDb } = measured!.values; // each was measured
    return [
      `\`${name}\``,
      times.length,
      `${(reference!.steps / times.length).toFixed(2)}×`, // each computes all of its steps
      `${tenths(truthPsnrDb!)} dB`,
      `${losses.join(", ")} dB`,
    ];
  });
  for (const row of rows) assertStringIncludes(text, `| ${row.join(" | ")} |`);
});

/** A number as tables have it. */
function tenths(value: number): string {
  return value.toFixed(1).replace("-", "−");
}

for (const name of bundledPlans) {
  Deno.test(`${name} fits its model, is as fast as its name says, and records what it predicts`, async () => {
    const [id = "", level = ""] = name.split(".");
    await withModel(new URL(`../../models/${id}/`, import.meta.url), async (model) => {
      const plan = loadPlan(name);
      const { guidance } = model.sampler;
      const target = await planTarget(model, { times: plannedTimes(plan, model), guidance });
      assertEquals(checkPlanFits(plan, target), []);
      const { transformer } = sceneOfPlan(plan, model);
      const predicted = predictSpeedup(compilePlan(plan), modelCost(transformer));
      assertEquals(plan.measured?.values["predictedSpeedup"], Number(predicted.toFixed(2)));
      assertEquals(Math.floor(predicted), Number.parseInt(level));
    });
  });
}

Deno.test("findPlan() takes the plan of level 4x or 3x where no steps are asked for, and never an earlier one", async () => {
  await withModel(FASHION_DIT, async (model) => {
    assertEquals((await findPlan(model))?.name, "fashion-dit.4x");
    for (const steps of [12, 16, 50]) assertEquals(await findPlan(model, steps), undefined);
    const euler = { ...model, sampler: { ...model.sampler, name: "euler" } };
    assertEquals(await findPlan(euler as Model, 50), undefined); // no model has it yet
  });
  await withModel(new URL("../golden/dit-a/", import.meta.url), async (model) => {
    assertEquals(await findPlan(model, 50), undefined);
  });
});

Deno.test("loadPlan() refuses other names and says which there are", () => {
  for (const name of ["fast", "", "toString", "__proto__"]) {
    const { message } = assertThrows(() => loadPlan(name), PlanError);
    assertStringIncludes(message, "fashion-dit.3x");
  }
});

async function withModel(location: URL, use: (model: Model) => Promise<void>): Promise<void> {
  const model = await openModel(location);
  try {
    await use(model);
  } finally {
    await model.close();
  }
}
