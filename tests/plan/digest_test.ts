import { assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { planDigest } from "../../src/plan/digest.ts";
import { examplePlan } from "./example_plans.ts";

const ROWS = ["....", "r.r.", "="];

Deno.test("planDigest() depends on what a plan does, not on where it comes from", () => {
  const digest = planDigest(examplePlan(ROWS));
  assertMatch(digest, /^sha256:[0-9a-f]{64}$/);
  assertEquals(
    planDigest(examplePlan(ROWS, {
      fingerprints: ["a"],
      context: { guidance: 2 },
      policy: { name: "search", parameters: { speedup: 2 } },
      measured: { command: "", machine: "", values: {} },
    })),
    digest,
  );
  const others = [
    examplePlan(["....", "r.r.", "+"]),
    examplePlan(ROWS, { slots: ["cond"] }),
    examplePlan(ROWS, { modules: ["a", "b", "c", "d"] }),
    examplePlan(ROWS, { sampler: { name: "euler", times: [60, 40, 20] } }),
    examplePlan(ROWS, { sampler: { name: "ddim", times: [60, 40, 0] } }),
  ];
  const update = [[0.5, 1], null, null];
  const owned = examplePlan(ROWS, { version: 2 });
  const shifted = { ...owned.sampler, shift: 3 };
  const plans = [
    examplePlan(ROWS),
    owned,
    examplePlan(ROWS, { version: 2, columns: { update } }),
    examplePlan(ROWS, { version: 2, columns: { update: update.with(0, [0.5, 1.25]) } }),
    examplePlan(ROWS, { version: 2, sampler: shifted }),
  ];
  assertEquals(new Set(plans.map(planDigest)).size, plans.length);
  const reference = { sampler: "ddim", steps: 50 };
  assertEquals(planDigest({ ...owned, reference }), planDigest(owned));
  for (const other of others) assertNotEquals(planDigest(other), digest);
});
