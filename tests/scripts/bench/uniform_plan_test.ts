import { assertEquals, assertRejects } from "@std/assert";
import { uniformPlan } from "../../../scripts/bench/uniform_plan.ts";
import { planTarget } from "../../../src/engine/plan_facts.ts";
import { openModel } from "../../../src/model/open_model.ts";
import { compilePlan } from "../../../src/plan/compile.ts";
import { checkPlanFits } from "../../../src/plan/fit.ts";
import { formatPlan } from "../../../src/plan/format.ts";
import { parsePlan } from "../../../src/plan/parse.ts";
import { linearSchedule } from "../../../src/sampler/noise_schedule.ts";
import { textsOf } from "../../plan/example_plans.ts";

Deno.test("uniformPlan() runs every k-th step in full and fits its model", async () => {
  const model = await openModel(new URL("../../golden/dit-a/", import.meta.url));
  try {
    const plan = await uniformPlan(model, { steps: 7, every: 3 });
    const { steps, maxStaleness } = compilePlan(plan);
    const kinds = steps.map(({ kind }) => kind[0]).join("");
    assertEquals([kinds, maxStaleness], ["fmmfmmf", 2]);
    const target = await planTarget(model, { ...linearSchedule(7), ...model.sampler });
    assertEquals(checkPlanFits(plan, target), []);
    assertEquals(parsePlan(formatPlan(plan)), plan);
    const full = await uniformPlan(model, { steps: 2, every: 1 });
    assertEquals(textsOf(full), [["......"], ["......"]]);
    for (const every of [0, 1.5, NaN]) {
      await assertRejects(() => uniformPlan(model, { steps: 7, every }), RangeError, "every");
    }
    await assertRejects(() => uniformPlan(model, { steps: 0, every: 2 }), RangeError, "steps");
  } finally {
    await model.close();
  }
});
