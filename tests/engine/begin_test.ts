import { assertEquals } from "@std/assert";
import { stepsLeft } from "../../src/engine/begin.ts";
import { parseSampler } from "../../src/sampler/config.ts";
import { makeSampler, samplerNames } from "../../src/sampler/solvers.ts";
import { examplePlan } from "../plan/example_plans.ts";

const STEPS = 7; // odd, as Heun's method wants it

for (const name of samplerNames) {
  Deno.test(`${name}: stepsLeft() tells as many steps as its sampler runs, with a plan and without`, () => {
    const config = parseSampler({ name, steps: STEPS, guidance: 1 });
    const plan = examplePlan(["..", "r.", "=", "..", "r.", "=", ".."]);
    for (let from = 0; from < STEPS; from++) {
      const { times: { length } } = makeSampler(config, { steps: STEPS, tokens: 16, from });
      const full = stepsLeft(config, { steps: STEPS, from, modules: 2 });
      assertEquals(full.map(({ kind }) => kind), Array.from({ length }, () => "full"));
      const planned = stepsLeft(config, { steps: STEPS, from, modules: 2, plan });
      assertEquals(planned.length, length);
      assertEquals(planned[0]!.kind, "full"); // it stands alone
    }
  });
}
