import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { fasterPlans } from "../../src/engine/faster_plans.ts";
import { type CompiledPlan, compilePlan } from "../../src/plan/compile.ts";
import { examplePlan } from "../plan/example_plans.ts";

/** A full step costs 8, one that reuses both modules 2. */
const cost = { embed: 1, head: 1, modules: [0, 1].map(() => ({ branch: 3, merge: 0 })) };

function named(name: string, rows: readonly string[]): CompiledPlan & { readonly name: string } {
  return { name, ...compilePlan(examplePlan(rows)) };
}

Deno.test("fasterPlans() names the plans that compute no more than the steps, and how many times less", () => {
  const plans = [
    named("two", ["..", ".."]),
    named("four", ["..", "..", "..", ".."]),
    named("mixed", ["..", "rr", "..", "rr"]), // as much as 2½ full steps
  ];
  assertEquals(
    fasterPlans(plans, { steps: 4, cost }),
    "No plan here is for 4 steps, so all of them run in full. Predicted to be as fast or faster, with steps of " +
      "their own: four (1.00×), mixed (1.60×), two (2.00×).",
  );
  assertEquals(fasterPlans(plans, { steps: 2, cost })?.endsWith(" own: two (1.00×)."), true);
  assertEquals(fasterPlans(plans, { steps: 1, cost }), undefined);
  assertEquals(fasterPlans([], { steps: 50, cost }), undefined);
});

Deno.test("fasterPlans() asks the reference of a plan for nothing: what counts is what it computes", () => {
  const counts = fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 5 });
  fc.assert(
    fc.property(counts, fc.integer({ min: 1, max: 14 }), fc.nat(99), (calls, steps, full) => {
      const plans = calls.map((count) => {
        const plan = examplePlan(Array.from({ length: count }, () => ".."), {
          reference: { sampler: "ddim", steps: full + 1 },
        });
        return { name: `of ${count}`, ...compilePlan(plan) };
      });
      const listed = calls.filter((count) => count <= steps).toSorted((a, b) => b - a)
        .map((count) => `of ${count} (${(steps / count).toFixed(2)}×)`);
      const said = fasterPlans(plans, { steps, cost });
      assertEquals(
        said?.replace(/^.*own: /, ""),
        listed.length ? `${listed.join(", ")}.` : undefined,
      );
    }),
  );
});
