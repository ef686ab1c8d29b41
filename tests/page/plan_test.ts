import { assertEquals } from "@std/assert";
import { formatPlan } from "../../src/plan/format.ts";
import { loadPlan } from "../../src/engine/bundled_plans.ts";
import type { PlanView } from "../../src/page/contract.ts";
import { autoFacts, orderPlans, planLine, planOfChoice } from "../../src/page/plan_choice.ts";
import { fullShape, planShape, shapeWords } from "../../src/page/plan_shape.ts";

function plan(id: string, steps: number, speedup: number | null = null): PlanView {
  return { id, steps, digest: id, owns_times: false, predicted_speedup: speedup, measured: null };
}
const SLOW = plan("m.ddim50.slow", 50, 2.1);
const FAST = plan("m.ddim50.fast", 50, 2.93);
const OTHER = plan("m.ddim25.fast", 25, 2.8);
const plans = [OTHER, SLOW, FAST];

Deno.test("auto takes the plan of level fast for the steps, else any for them, else none", () => {
  assertEquals(planOfChoice("auto", { steps: 50, usual: 50, plans }), FAST);
  assertEquals(planOfChoice("auto", { steps: 50, usual: 50, plans: [SLOW] }), SLOW);
  assertEquals(planOfChoice("auto", { steps: 30, usual: 50, plans }), undefined);
  assertEquals(planOfChoice("none", { steps: 50, usual: 50, plans }), undefined);
  assertEquals(planOfChoice(SLOW.id, { steps: 30, usual: 50, plans }), SLOW);
  assertEquals(autoFacts({ steps: 50, usual: 50, plans }), "ddim50.fast · 2.9×");
  assertEquals(autoFacts({ steps: 30, usual: 50, plans }), "none fits 30 steps");
});

Deno.test("auto takes a plan with times of its own while the form has the model's steps", () => {
  const own = { ...plan("m.3x", 17, 2.94), owns_times: true };
  const [usual, all] = [50, [...plans, own]];
  assertEquals(planOfChoice("auto", { steps: 50, usual, plans: all }), own);
  assertEquals(planOfChoice("auto", { steps: 25, usual, plans: all }), OTHER);
  assertEquals(planOfChoice("auto", { steps: 17, usual, plans: all }), undefined);
});

Deno.test("planLine() says what to expect, as far as it is known", () => {
  const measured = { values: { psnrDb: 38.89 } };
  assertEquals(planLine({ ...FAST, measured }, []), {
    name: "Fast",
    facts: "50 steps · 2.9× · 39 dB",
  });
  assertEquals(planLine(plan("mine", 4), []), { name: "Mine", facts: "4 steps" });
});

Deno.test("planLine() gives each plan a name that no other in the list has", () => {
  const all = [...plans, plan("fast", 9), plan("other.2x", 9)];
  const names = all.map((each) => planLine(each, all).name);
  assertEquals(names, ["Ddim25.fast", "Slow", "Ddim50.fast", "Fast", "2x"]);
  assertEquals(new Set(names).size, all.length);
});

Deno.test("orderPlans() puts those for the steps first, then what saves less", () => {
  assertEquals(orderPlans(plans, 50).map(({ id }) => id), [SLOW.id, FAST.id, OTHER.id]);
  assertEquals(orderPlans(plans, 25)[0], OTHER);
});

Deno.test("planShape() reads the JSON that a server sends, rows with and without slots", () => {
  const file = JSON.parse(formatPlan(loadPlan("fashion-dit.ddim50.fast")));
  const { steps, rows, computed, kinds } = planShape(file);
  assertEquals([steps, rows], [50, 24]);
  const marks: readonly string[] = file.rows; // one call a step: one string
  assertEquals(kinds.map((kind) => kind === "reuse"), marks.map((row) => !row.includes(".")));
  assertEquals(computed.length, marks.join("").replaceAll(/[^.]/g, "").length);
  const small = {
    ...file,
    modules: ["a", "b"],
    slots: ["u", "c"],
    rows: [["..", ".."], ["r.", ".."], "="],
  };
  const shape = planShape(small);
  assertEquals(shape.kinds, ["full", "mixed", "reuse"]);
  assertEquals(shape.computed, [[0, 0], [0, 1], [1, 1]]);
  assertEquals(
    shapeWords(shape),
    "1 of 3 steps are computed in full, 1 in part; 1 reuse what is there.",
  );
});

Deno.test("fullShape() computes every cell", () => {
  const shape = fullShape(2, 2);
  assertEquals(shape.computed, [[0, 0], [0, 1], [1, 0], [1, 1]]);
  assertEquals(shapeWords(shape), "All 2 steps are computed in full.");
  assertEquals(shapeWords(shape, 50), "2 steps instead of 50, each computed in full.");
  assertEquals(shapeWords(fullShape(1, 2)), "The only step is computed in full.");
});
