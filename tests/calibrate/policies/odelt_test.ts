import { assert, assertEquals, assertRejects } from "@std/assert";
import { calibrate, openPipeline, PlanError } from "../../../mod.ts";
import { engineOf } from "../../../src/engine/engine.ts";
import { modelCost } from "../../../src/engine/plan_facts.ts";
import { compilePlan } from "../../../src/plan/compile.ts";
import { predictSpeedup } from "../../../src/plan/cost.ts";
import { formatPlan } from "../../../src/plan/format.ts";
import { parsePlan } from "../../../src/plan/parse.ts";
import { renderText } from "../../../src/plan/render/text.ts";

/** Three groups of two blocks. */
const ODELT = new URL("../../golden/odelt/", import.meta.url);
const SMALL = { runs: 2, steps: 4, seed: 3 };

Deno.test("odelt's plan leaves out the last groups at every step, and says how much less that is", async () => {
  const pipeline = await openPipeline({ model: ODELT, backend: "wasm" });
  const speedups: number[] = [];
  for (const [left, row] of ["............", "........----", "....--------"].entries()) {
    const plan = await calibrate(pipeline, { ...SMALL, policy: `odelt:left=${left}` });
    assertEquals(plan.rows.map(([row]) => row!.text), new Array(4).fill(row));
    assertEquals(formatPlan(parsePlan(formatPlan(plan))), formatPlan(plan));
    assert(renderText(plan).includes("4"));
    const asked = { label: 3, steps: 4, output: "latents" } as const;
    const [planned, full] = [
      await pipeline.generate({ ...asked, plan }),
      await pipeline.generate({ ...asked, plan: "none" }),
    ].map(({ latents: { data } }) => data);
    assertEquals(planned!.every((number, i) => number === full![i]), left === 0);
    speedups.push(
      predictSpeedup(compilePlan(plan), modelCost(engineOf(pipeline).model.transformer)),
    );
  }
  const [none, one, two] = speedups;
  assertEquals(none, 1);
  assert(one! > 1.4 && one! < 1.5 && two! > 2.5 && two! < 3, `${speedups}`); // 3 groups, embedding and head
  await assertRejects(
    () => calibrate(pipeline, { ...SMALL, policy: "odelt:left=3" }),
    RangeError,
    "left of odelt must be at most 2 for odelt: current value is 3",
  );
  await pipeline.close();
});

Deno.test("odelt is refused for a model that was not trained for it", async () => {
  const model = new URL("../../golden/dit-a/", import.meta.url);
  const pipeline = await openPipeline({ model, backend: "wasm" });
  await assertRejects(
    () => calibrate(pipeline, { ...SMALL, policy: "odelt" }),
    PlanError,
    "Cannot calibrate dit-a by odelt: it was not trained to do without any block",
  );
  await pipeline.close();
});
