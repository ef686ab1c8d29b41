import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { choosePlan, type PlanOffer } from "../../src/plan/choose.ts";

const offers = fc.array(
  fc.record({
    name: fc.constantFrom("a.fast", "a.slow", "b.fast", "b.turbo", "c"),
    steps: fc.constantFrom(10, 25, 50),
    ownsTimes: fc.boolean(),
  }),
  { maxLength: 6 },
);
const choose = (plans: readonly PlanOffer[], word: string, steps?: number): PlanOffer | undefined =>
  choosePlan(plans, { word, steps, usual: 50, offerOf: (plan) => plan });

Deno.test("auto is a fast plan of as many steps, else the first of as many, else none", () => {
  fc.assert(
    fc.property(offers, fc.constantFrom(10, 25, 50), (plans, steps) => {
      const fitting = plans.filter((plan) => plan.steps === steps && !plan.ownsTimes);
      const fast = fitting.filter(({ name }) => name.endsWith(".fast"));
      assertEquals(choose(plans, "auto", steps), fast[0] ?? fitting[0]);
      assertEquals(choose(plans, "none", steps), undefined);
    }),
    { seed: 1 },
  );
});

Deno.test("auto takes a plan with times of its own only where no steps are asked for, 4x before 3x before fast", () => {
  const [fast, third, quarter] = [
    { name: "a.fast", steps: 50 },
    { name: "a.3x", steps: 17, ownsTimes: true },
    { name: "a.4x", steps: 12, ownsTimes: true },
  ] as const;
  assertEquals(choose([fast, third, quarter], "auto"), quarter);
  assertEquals(choose([fast, third], "auto"), third);
  assertEquals(choose([fast], "auto"), fast);
  assertEquals(choose([fast, third], "auto", 50), fast);
  assertEquals(choose([third], "auto", 17), undefined);
  assertEquals(choose([third], "a.3x", 50), third);
});

Deno.test("a name is the plan of that name, whatever its steps", () => {
  const plans = [{ name: "a.fast", steps: 50 }, { name: "a.slow", steps: 25 }];
  assertEquals(choose(plans, "a.slow", 50), plans[1]);
  assertEquals(choose(plans, "a.slov", 25), undefined);
});
