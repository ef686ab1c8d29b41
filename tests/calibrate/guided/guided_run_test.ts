import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { type CalibrationTask, seededConditions } from "../../../src/calibrate/task.ts";
import { driftBetween, recordDrift } from "../../../src/calibrate/guided/drift.ts";
import { calibrateGuided } from "../../../src/calibrate/guided/guided.ts";
import { checkLevels } from "../../../src/calibrate/levels.ts";
import { recordSteps, trajectoriesOf } from "../../../src/calibrate/record.ts";
import { calibrateTradeOff, type TradeOffPoint } from "../../../src/calibrate/trade_off.ts";
import { type Engine, openEngine } from "../../../src/engine/engine.ts";
import { PlanError } from "../../../src/errors.ts";
import { formatPlan } from "../../../src/plan/format.ts";
import { parsePlan } from "../../../src/plan/parse.ts";
import { textsOf } from "../../plan/example_plans.ts";

const DIT_A = new URL("../../golden/dit-a/", import.meta.url);

async function withTask(use: (task: CalibrationTask) => Promise<void>): Promise<void> {
  const pipeline = await openEngine({ model: DIT_A, backend: "wasm" });
  try {
    await use(taskOf(pipeline));
    assertEquals(pipeline.backend.live.values, 0);
  } finally {
    await pipeline.close();
  }
}

function taskOf(pipeline: Engine): CalibrationTask {
  const conditions = seededConditions(pipeline, { runs: 2, seed: 3 });
  const levels = { step: 0.5, attn: 0.2, mlp: 0.2 };
  return { pipeline, steps: 6, guidance: 4, conditions, levels, warmup: 0 };
}

Deno.test("recordSteps() yields every feature of every step and the latents of a plain run", async () => {
  await withTask(async (task) => {
    const { pipeline, steps, guidance, conditions: { labels, noise } } = task;
    const { modules } = pipeline.model.transformer;
    const { latents } = await pipeline.generate({ labels, noise, steps, guidance, plan: "none" });
    let last: Float32Array | undefined;
    for await (const step of recordSteps(task)) {
      assertEquals(step.features.length, 1 + modules.length);
      for (const [part] of step.features) assertEquals(part!.length, 4 * 16 * 48); // N, tokens, width
      last = step.latents!.data;
    }
    assertEquals(last, latents.data);
  });
});

Deno.test("recordDrift() is the median over runs of how far guided features drift", async () => {
  await withTask(async (task) => {
    const drifts = await recordDrift(task);
    const { pipeline, conditions } = task;
    const { labels, noise: { data } } = conditions;
    const found: number[] = [];
    for (const [run, label] of labels.entries()) {
      const size = data.length / labels.length;
      const noise = { dims: [1, 4, 8, 8], data: data.slice(run * size, (run + 1) * size) };
      const features: Float32Array[] = [];
      const one = { ...task, conditions: { labels: [label], noise, seeds: [] } };
      for await (const step of recordSteps(one)) features.push(step.features[3]![0]!);
      found.push(driftBetween(features[4]!, features[1]!));
    }
    assertEquals(drifts.length, trajectoriesOf(pipeline.model.transformer).length);
    assertEquals(drifts[3]!.name, "blocks.1.attn");
    // Few elements, so all of them are sampled; scores are kept in float32.
    assertAlmostEquals(drifts[3]!.scores[1]![4]!, (found[0]! + found[1]!) / 2, 1e-7);
  });
});

Deno.test("recordDrift() reports every step of every run", async () => {
  await withTask(async (task) => {
    const heard: number[] = [];
    const onProgress = (done: number, total: number): void => {
      assertEquals(total, 12);
      heard.push(done);
    };
    await recordDrift({ ...task, onProgress });
    assertEquals(heard, Array.from({ length: 12 }, (_, i) => i + 1));
  });
});

Deno.test("guided calibration gives a bound plan that reads back and runs", async () => {
  await withTask(async (task) => {
    const plan = await calibrateGuided({ ...task, longest: 2 });
    assertEquals(parsePlan(formatPlan(plan)), plan);
    assertEquals(plan.policy.name, "guided");
    assertEquals(plan.context.guidance, 4);
    assertEquals(plan.calibration?.seeds, [3, 4]);
    assertEquals(plan.rows.filter(([row]) => row?.text === "rrrrrr").length, 3); // half of 5, rounded
    const asked = { plan, labels: [1], guidance: 4, output: "latents" } as const;
    const { notices, latents } = await task.pipeline.generate(asked);
    assertEquals(notices, []);
    assert(latents.data.every(Number.isFinite));
  });
});

Deno.test("a guided plan of levels 0 makes the latents of no plan", async () => {
  await withTask(async (task) => {
    const plan = await calibrateGuided({ ...task, levels: { step: 0, attn: 0, mlp: 0 } });
    const options = { labels: [1, 2], guidance: 4 };
    const planned = await task.pipeline.generate({ ...options, plan });
    const full = await task.pipeline.generate({ ...options, steps: task.steps, plan: "none" });
    assertEquals(planned.latents.data, full.latents.data);
  });
});

Deno.test("guided calibration of one to three steps and one run gives plans that run", async () => {
  await withTask(async (task) => {
    const conditions = seededConditions(task.pipeline, { runs: 1, seed: 1 });
    for (const steps of [1, 2, 3]) {
      const levels = { step: 1, attn: 1, mlp: 1 };
      const plan = await calibrateGuided({ ...task, conditions, steps, levels });
      assertEquals(textsOf(plan).flat(), ["......", "rrrrrr", "rrrrrr"].slice(0, steps));
      await task.pipeline.generate({ plan, labels: [0] });
    }
  });
});

Deno.test("guided calibration refuses noise that is not finite and stops when told to", async () => {
  await withTask(async (task) => {
    const { noise } = task.conditions;
    const huge = { ...noise, data: noise.data.map(() => 3e38) };
    const conditions = { ...task.conditions, noise: huge };
    await assertRejects(
      () => calibrateGuided({ ...task, conditions }),
      PlanError,
      "feature of hidden at step 0 must be finite",
    );
    const interrupt = new AbortController();
    const onProgress = (done: number): void => done === 8 ? interrupt.abort() : undefined;
    await assertRejects(
      () => calibrateGuided({ ...task, onProgress, signal: interrupt.signal }),
      DOMException,
    );
  });
});

Deno.test("calibrateTradeOff() takes the best of the plans that are fast enough", async () => {
  await withTask(async (task) => {
    const points: TradeOffPoint[] = [];
    const onTrial = (point: TradeOffPoint): void => void points.push(point);
    const plan = await calibrateTradeOff({ ...task, speedup: 1.6, seconds: 1000, onTrial });
    assert(points.length >= 4);
    const fast = points.filter(({ predicted }) => predicted >= 1.6);
    const [best] = fast.toSorted((a, b) => b.psnr - a.psnr);
    assertEquals(plan.policy.parameters["level.step"], best!.levels["step"]);
    assertEquals(plan.policy.parameters["level.attn"], best!.levels["attn"]);
  });
});

Deno.test("calibrateTradeOff() measures one plan when there is no time", async () => {
  await withTask(async (task) => {
    let trials = 0;
    const onTrial = (): void => void trials++;
    await calibrateTradeOff({ ...task, speedup: 1.6, seconds: 0, onTrial });
    assertEquals(trials, 1);
  });
});

Deno.test("calibrateTradeOff() refuses one run and speed-ups out of reach", async () => {
  await withTask(async (task) => {
    const conditions = seededConditions(task.pipeline, { runs: 1, seed: 1 });
    await assertRejects(
      () => calibrateTradeOff({ ...task, conditions, speedup: 2, seconds: 0 }),
      RangeError,
      "runs must be at least 2",
    );
    await assertRejects(
      () => calibrateTradeOff({ ...task, longest: 1, speedup: 2.5, seconds: 0 }),
      RangeError,
      "no plan of 6 steps that reuses for at most 1 in a row reaches the target speed-up of 2.5.",
    );
  });
});

Deno.test("calibrateTradeOff() of two and three steps gives plans, of one step says why not", async () => {
  await withTask(async (task) => {
    for (const steps of [2, 3]) {
      const plan = await calibrateTradeOff({ ...task, steps, speedup: 1.3, seconds: 0 });
      assertEquals(textsOf(plan)[0], ["......"]);
      await task.pipeline.generate({ plan, labels: [0] });
    }
    await assertRejects(
      () => calibrateTradeOff({ ...task, steps: 1, speedup: 1.3, seconds: 0 }),
      RangeError,
      "no plan of 1 steps reaches the target speed-up of 1.3.",
    );
  });
});

Deno.test("checkLevels() names a kind that is unknown, absent or out of range", async () => {
  await withTask(async ({ pipeline: { model: { transformer } } }) => {
    const refused = (levels: Readonly<Record<string, number>>, message: string): Promise<unknown> =>
      assertRejects(() => Promise.try(checkLevels, levels, transformer), RangeError, message);
    await refused(
      { step: 0, attn: 0, mlp: 0, ff: 0 },
      "of step, attn, mlp: current value is of ff",
    );
    await refused({ step: 0, attn: 0 }, "level of mlp must be 0 … 1: current value is undefined");
    await refused({ step: 0, attn: 2, mlp: 0 }, "level of attn must be 0 … 1: current value is 2");
    checkLevels({ step: 0, attn: 1, mlp: 0.5 }, transformer);
  });
});
