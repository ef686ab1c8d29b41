/** Rules of plans, for pictures to decide by themselves. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { calibrate, openPipeline, PlanError, policyOfPlan } from "../../../mod.ts";
import { chooseRunTimePolicy } from "../../../src/engine/policies/table.ts";

const DIT_A = new URL("../../golden/dit-a/", import.meta.url);

Deno.test("policyOfPlan() is the rule of a plan: its settings, and what was measured", async () => {
  const pipeline = await openPipeline({ model: DIT_A, backend: "wasm" });
  try {
    for (const asked of ["sencache:threshold=0.4,start=0.4,longest=2", "teacache:threshold=3"]) {
      const plan = await calibrate(pipeline, { policy: asked, runs: 2, steps: 12, seed: 3 });
      const parameters = { ...plan.policy.parameters, conditions: "given.safetensors" }; // as the command line adds
      const policy = policyOfPlan({ ...plan, policy: { ...plan.policy, parameters } });
      const chosen = chooseRunTimePolicy(policy);
      assertEquals<unknown>({ ...chosen.settings, ...tablesOf(chosen.tables) }, {
        ...plan.policy.parameters,
        ...plan.calibration!.thresholds,
      });
      const reused = plan.rows.filter(([row]) => "~+".includes(row!.text)).length;
      const run = { labels: [0, 1], seeds: [3, 4], steps: 12, output: "latents" } as const;
      const { policy: decided } = await pipeline.generate({ ...run, policy });
      // Each picture decides alone, the plan for the two of them.
      for (const count of decided!.reused) {
        assert(count > 0 && Math.abs(count - reused) <= 2, `${asked}: ${count}, ${reused}`);
      }
    }
  } finally {
    await pipeline.close();
  }
});

function tablesOf(
  tables: Readonly<Record<string, readonly number[]>>,
): Readonly<Record<string, number>> {
  const entries = Object.entries(tables);
  return Object.fromEntries(
    entries.flatMap(([name, values]) => values.map((value, i) => [`${name}.${i}`, value])),
  );
}

Deno.test("policyOfPlan() refuses plans whose policy cannot decide at run time", () => {
  for (const name of ["magcache", "fit", "constructor"]) {
    assertThrows(
      () => policyOfPlan({ policy: { name, parameters: {} } }),
      PlanError,
      `its policy must be one of first-block, teacache, sencache: current value is ${name}`,
    );
  }
});
