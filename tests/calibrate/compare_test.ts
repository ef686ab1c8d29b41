import { assert, assertEquals, assertRejects } from "@std/assert";
import { seededConditions, sliceConditions } from "../../src/calibrate/task.ts";
import { comparedSteps, comparePlan } from "../../src/calibrate/compare.ts";
import { uniformPlan } from "../../scripts/bench/uniform_plan.ts";
import { type Engine, openEngine } from "../../src/engine/engine.ts";
import { PlanError } from "../../src/errors.ts";

Deno.test("comparePlan() of a plan without reuse finds equal pictures and nothing kept", async () => {
  await withPipeline(async (pipeline) => {
    const plan = await uniformPlan(pipeline.model, { steps: 3, every: 1 });
    const conditions = seededConditions(pipeline, { runs: 2, seed: 1 });
    const found = await comparePlan({ pipeline, plan, conditions, rounds: 1 });
    assertEquals(found.pictures.planned.data, found.pictures.full.data);
    assertEquals(found.psnrDb, [100, 100]);
    assert(found.ssim.every((value) => Math.abs(value - 1) < 1e-12)); // rounding of float64
    assertEquals(found.predictedSpeedup, 1);
    assertEquals(found.peakFeatureBytes, { measured: 0, predicted: 0 });
  });
});

Deno.test("comparePlan() makes each picture as generate() does, in batches of nearly equal size", async () => {
  await withPipeline(async (pipeline) => {
    const plan = await uniformPlan(pipeline.model, { steps: 4, every: 2 });
    const conditions = seededConditions(pipeline, { runs: 11, seed: 5 });
    const steps: number[] = [];
    const task = { pipeline, plan, conditions, rounds: 2 };
    const found = await comparePlan({ ...task, onProgress: (done) => steps.push(done) });
    assertEquals(found.batch, 6);
    assertEquals(comparedSteps(task), 2 * 4 * (1 + 2 * 2));
    assertEquals(steps, Array.from({ length: comparedSteps(task) }, (_, i) => i + 1));
    assertEquals(found.pictures.full.dims, [11, 4, 8, 8]);
    const { labels, noise } = sliceConditions(conditions, 6, 5);
    const last = await pipeline.generate({ labels, noise, plan });
    assertEquals(found.pictures.planned.data.slice(6 * 256), last.latents.data);
    assertEquals([found.psnrDb.length, found.ssim.length], [11, 11]);
    assert(found.psnrDb.every((value) => value > 5 && value < 100));
    const { measured, predicted } = found.peakFeatureBytes;
    assertEquals(measured, predicted);
    assert(measured > 0 && found.predictedSpeedup > 1.5 && found.measuredSpeedup > 0);
    const { loopSeconds, conditioningSeconds, endToEndSeconds } = found.planned;
    assert(loopSeconds > 0 && endToEndSeconds >= loopSeconds && conditioningSeconds > 0);
  });
});

Deno.test("comparePlan() refuses a plan for another model, and rounds below 1", async () => {
  await withPipeline(async (pipeline) => {
    const plan = await uniformPlan(pipeline.model, { steps: 2, every: 1 });
    const conditions = seededConditions(pipeline, { runs: 1, seed: 1 });
    const task = { pipeline, plan, conditions, rounds: 1 };
    await assertRejects(() => comparePlan({ ...task, rounds: 0 }), RangeError, "rounds");
    await assertRejects(
      () => comparePlan({ ...task, plan: { ...plan, fingerprints: [] } }),
      PlanError,
      "unbound",
    );
  });
});

async function withPipeline(use: (pipeline: Engine) => Promise<void>): Promise<void> {
  const model = new URL("../golden/dit-a/", import.meta.url);
  const pipeline = await openEngine({ model, backend: "wasm" });
  try {
    await use(pipeline);
  } finally {
    await pipeline.close();
  }
}
