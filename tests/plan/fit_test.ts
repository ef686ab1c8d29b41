import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { PlanError } from "../../src/errors.ts";
import { bindPlan, checkPlanFits, type PlanTarget } from "../../src/plan/fit.ts";
import { examplePlan } from "./example_plans.ts";

const target: PlanTarget = {
  architecture: "dit",
  modules: ["blocks.0.attn", "blocks.0.mlp"],
  fingerprint: "ours",
  sampler: "ddim",
  times: [60, 40, 20],
};
const bound = examplePlan(["..", "=", "r."], { fingerprints: ["theirs", "ours"] });

function refusal(changes: Partial<PlanTarget>): string {
  return assertThrows(() => checkPlanFits(bound, { ...target, ...changes }), PlanError).message;
}

Deno.test("checkPlanFits() has nothing to say when everything agrees", () => {
  assertEquals(checkPlanFits(bound, target), []);
});

Deno.test("checkPlanFits() refuses another architecture, module, fingerprint or sampler", () => {
  assertStringIncludes(refusal({ architecture: "flux" }), "architecture must be dit");
  assertStringIncludes(refusal({ modules: ["a"] }), "count of modules must be 2");
  assertStringIncludes(
    refusal({ modules: ["blocks.0.attn", "blocks.0.ff"] }),
    "module 1 must be blocks.0.mlp: current value is blocks.0.ff",
  );
  assertStringIncludes(refusal({ fingerprint: "x" }), "must be theirs or ours: current value is x");
  assertStringIncludes(refusal({ sampler: "euler" }), "sampler must be ddim");
});

Deno.test("checkPlanFits() refuses another count of steps and other times", () => {
  assertStringIncludes(
    refusal({ times: [40, 20] }),
    "Cannot use plan: steps must be 3: current value is 2",
  );
  assertStringIncludes(refusal({ times: [60, 41, 20] }), "time of step 1 must be 40");
  assertStringIncludes(refusal({ times: [60, NaN, 20] }), "time of step 1 must be 40");
});

Deno.test("checkPlanFits() lets fractional times differ by float32 rounding", () => {
  const times = [1000 / 3, 100 / 7];
  const plan = examplePlan(["..", "="], {
    fingerprints: ["ours"],
    sampler: { name: "euler", times },
  });
  const rounded = { ...target, sampler: "euler", times: times.map(Math.fround) };
  assertEquals(checkPlanFits(plan, rounded), []);
});

Deno.test("checkPlanFits() lets the shift of a plan's own times change, unless weights were fitted", () => {
  const shift = (factor: number) => (sigma: number) => factor * sigma / (1 + (factor - 1) * sigma);
  const changes = {
    version: 2 as const,
    fingerprints: ["ours"],
    sampler: { name: "flow-euler", times: [1, 0.5], shift: 2 },
  };
  const made = { ...target, sampler: "flow-euler", times: [1, 0.5].map(shift(2)) };
  const other = { ...made, times: [1, 0.5].map(shift(3)) };
  const plan = examplePlan(["..", "r."], changes);
  assertEquals(checkPlanFits(plan, made), []);
  assertEquals(checkPlanFits(plan, other).length, 1);
  const fitted = { ...plan, columns: { update: [null, [0.5, 1]] } };
  assertEquals(checkPlanFits(fitted, made), []);
  const refused = assertThrows(() => checkPlanFits(fitted, other), PlanError).message;
  assertStringIncludes(refused, "time of step 1 must be 0.66");
});

Deno.test("checkPlanFits() gives a notice for recorded circumstances that differ", () => {
  const context = { guidance: 4, tokenGrid: [16, 16], precision: "float32" };
  const plan = { ...bound, context };
  assertEquals(checkPlanFits(plan, { ...target, ...context }), []);
  assertEquals(checkPlanFits(plan, target), []);
  assertEquals(checkPlanFits(plan, { ...target, guidance: 2, tokenGrid: [8, 32] }), [
    "The plan was made for guidance 4; this run has 2.",
    "The plan was made for token grid 16×16; this run has 8×32.",
  ]);
});

Deno.test("checkPlanFits() refuses a plan for more than one call of the model in a step", () => {
  const rows = [["..", ".."], ["=", "r."], ["=", "="]];
  const plan = examplePlan([], { ...{ ...bound, rows }, slots: ["cond", "uncond"] });
  const { message } = assertThrows(() => checkPlanFits(plan, target), PlanError);
  assertStringIncludes(message, "Cannot use plan: slots must be one");
  assertStringIncludes(message, "current value is cond, uncond");
  assertEquals(checkPlanFits({ ...bound, slots: ["cond"] }, target), []);
});

Deno.test("checkPlanFits() compares times that depend on the token grid on that of the plan", () => {
  const timesOn = ([rows = 0]: readonly number[]): number[] =>
    bound.sampler.times.map((t) => t / rows);
  const elsewhere = { ...target, tokenGrid: [2, 2], times: timesOn([2]), timesOn };
  const plan = { ...bound, context: { tokenGrid: [1, 1] } };
  assertEquals(checkPlanFits(plan, elsewhere), [
    "The plan was made for token grid 1×1; this run has 2×2.",
    "The plan was made for time 60 at step 0; this run has 30.",
  ]);
  assertEquals(checkPlanFits(plan, { ...elsewhere, tokenGrid: [1, 1], times: timesOn([1]) }), []);
  for (const refused of [{ ...plan, context: {} }, { ...plan, context: { tokenGrid: [3, 3] } }]) {
    assertThrows(() => checkPlanFits(refused, elsewhere), PlanError, "time of step 0 must be 60");
  }
});

Deno.test("an unbound plan does not run and the message names plan bind", () => {
  const unbound = { ...bound, fingerprints: [] };
  assertThrows(() => checkPlanFits(unbound, target), PlanError, '"plan bind"');
});

Deno.test("bindPlan() adds the fingerprint of a model that has the plan's modules", () => {
  const unbound = { ...bound, fingerprints: [] };
  assertEquals(bindPlan(unbound, target).fingerprints, ["ours"]);
  assertEquals(bindPlan(bound, target).fingerprints, ["theirs", "ours"]);
  assertEquals(checkPlanFits(bindPlan(unbound, target), target), []);
  assertThrows(() => bindPlan(bound, { ...target, modules: [] }), PlanError, "Cannot bind plan");
});

Deno.test("checkPlanFits() tells what a measured guidance scale loses, and nothing where the plan holds", () => {
  const guidanceLossDb = [[1, 0.5], [3, 0.25], [4, 3.5]] as const;
  const plan = examplePlan(["..", "=", "r."], {
    fingerprints: ["ours"],
    context: { guidance: 2, guidanceLossDb },
  });
  const told = (guidance: number): readonly string[] =>
    checkPlanFits(plan, { ...target, guidance });
  for (const guidance of [1, 1.5, 2, 2.5, 3]) assertEquals(told(guidance), []);
  assertEquals(told(3.5), [
    "The plan was made for guidance 2; this run has 3.5. Expect about 1.9 dB more distance to the " +
    "converged solution.",
  ]);
  assertStringIncludes(told(4)[0]!, "Expect about 3.5 dB");
  assertStringIncludes(told(9)[0]!, "Expect more than 3.5 dB");
  assertStringIncludes(told(0.5)[0]!, "Expect more than 0.5 dB");
});
