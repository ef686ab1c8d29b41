import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { bundledPlans, findPlan, loadPlan } from "../../src/engine/bundled_plans.ts";
import { FASHION_DIT } from "../fashion_dit.ts";
import { modelCost, planTarget } from "../../src/engine/plan_facts.ts";
import { PlanError } from "../../src/errors.ts";
import type { Model } from "../../src/model/model.ts";
import { openModel } from "../../src/model/open_model.ts";
import { compilePlan } from "../../src/plan/compile.ts";
import { predictSpeedup } from "../../src/plan/cost.ts";
import { checkPlanFits } from "../../src/plan/fit.ts";
import { formatPlan } from "../../src/plan/format.ts";
import { linearSchedule } from "../../src/sampler/noise_schedule.ts";

const FOLDER = new URL("../../plans/", import.meta.url);

Deno.test("every plan in plans/ is bundled, in canonical form", async () => {
  const names = [...Deno.readDirSync(FOLDER)].map(({ name }) => name)
    .filter((name) => name.endsWith(".json") && name !== "plan.schema.json");
  assertEquals(names.sort(), bundledPlans.map((name) => `${name}.json`).toSorted());
  for (const name of bundledPlans) {
    const text = await Deno.readTextFile(new URL(`${name}.json`, FOLDER));
    assertEquals(formatPlan(loadPlan(name)), text);
  }
});

for (const name of bundledPlans) {
  Deno.test(`${name} fits fashion-dit, is as its name says, and records what it predicts`, async () => {
    await withModel(FASHION_DIT, async (model) => {
      const plan = loadPlan(name);
      const { times } = linearSchedule(plan.sampler.times.length);
      const { guidance } = model.sampler;
      assertEquals(checkPlanFits(plan, await planTarget(model, { times, guidance })), []);
      const [id, sampling] = name.split(".");
      assertEquals([id, sampling], [model.id, `${plan.sampler.name}${times.length}`]);
      const predicted = predictSpeedup(compilePlan(plan), modelCost(model.transformer));
      assertEquals(plan.measured?.values["predictedSpeedup"], Number(predicted.toFixed(4)));
    });
  });
}

Deno.test("findPlan() takes the plan of level fast for model, sampler and steps, or none", async () => {
  await withModel(FASHION_DIT, async (model) => {
    assertEquals((await findPlan(model))?.name, "fashion-dit.ddim50.fast");
    assertEquals((await findPlan(model, 50))?.plan, loadPlan("fashion-dit.ddim50.fast"));
    assertEquals((await findPlan(model, 25))?.name, "fashion-dit.ddim25.fast");
    assertEquals(await findPlan(model, 20), undefined);
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
    assertStringIncludes(message, "fashion-dit.ddim50.fast");
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
