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
  for (const other of others) assertNotEquals(planDigest(other), digest);
});
