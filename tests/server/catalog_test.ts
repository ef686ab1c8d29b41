import { assertEquals } from "@std/assert";
import { makeCatalog } from "../../src/server/catalog.ts";
import { linearSchedule } from "../../src/sampler/noise_schedule.ts";
import { examplePlan } from "../plan/example_plans.ts";
import { TOY_FACTS } from "./toy_renderer.ts";

Deno.test("makeCatalog() offers a model no plan for more than one call in a step", () => {
  const plan = examplePlan(["..", "=", ".."], {
    fingerprints: [TOY_FACTS.fingerprint],
    sampler: { name: "ddim", times: linearSchedule(3).times },
  });
  const two = { ...plan, slots: ["cond", "uncond"], rows: plan.rows.map(([row]) => [row!, row!]) };
  const { models, plans } = makeCatalog([TOY_FACTS], [
    { name: "one", plan },
    { name: "two", plan: two },
  ]);
  assertEquals(models[0]?.plans.map(({ name }) => name), ["one"]);
  assertEquals(plans.map(({ name }) => name), ["one", "two"]);
});
