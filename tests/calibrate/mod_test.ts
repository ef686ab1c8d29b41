/** Calibrating and comparing in code, as the README shows it. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { calibrate, compare, openPipeline, type Pipeline, PlanError } from "../../mod.ts";
import type { CalibrateOptions } from "../../src/calibrate/mod.ts";
import { formatPlan } from "../../src/plan/format.ts";
import type { Plan } from "../../src/plan/plan.ts";
import { engineOf } from "../../src/engine/engine.ts";

const DIT_A = new URL("../golden/dit-a/", import.meta.url);
const SMALL = { runs: 2, steps: 6, seed: 3 };

async function withPipeline(use: (pipeline: Pipeline) => Promise<void>): Promise<void> {
  const pipeline = await openPipeline({ model: DIT_A, backend: "wasm" });
  try {
    await use(pipeline);
    assertEquals(engineOf(pipeline).backend.live.values, 0);
  } finally {
    await pipeline.close();
  }
}

Deno.test("calibrate() gives a plan of each mode that generate() takes and compare() measures", async () => {
  await withPipeline(async (pipeline) => {
    const ways: readonly CalibrateOptions[] = [
      {},
      { mode: "guided", levels: { step: 0.5, attn: 0.5, mlp: 0.5 } },
      { mode: "guided", targetSpeedup: 1.3, timeBudget: 60 },
      { mode: "search", targetSpeedup: 1.5, trials: 4 },
      { mode: "reference" },
    ];
    for (const way of ways) {
      const counted: number[] = [];
      const onProgress = (done: number, total: number): void => void counted.push(total - done);
      const plan = await calibrate(pipeline, { ...SMALL, ...way, onProgress });
      assertEquals([plan.sampler.times.length, counted.at(-1)], [6, 0]);
      const { kinds } = await pipeline.generate({ label: 1, plan, output: "latents" });
      assertEquals(kinds[0], "full");
      const found = await compare(pipeline, { plan, runs: 2 });
      assert(found.predictedSpeedup >= 1 && found.psnrDb.length === 2);
    }
  });
});

Deno.test("calibrate() and compare() refuse options that cannot be, and leave nothing behind", async () => {
  await withPipeline(async (pipeline) => {
    const wrong: readonly (readonly [unknown, string])[] = [
      [
        { mode: "fast" },
        "mode must be one of guided, search, fit, reference: current value is fast",
      ],
      [{ mode: "search" }, "mode search needs a targetSpeedup"],
      [{ levels: { step: 2 } }, "level"],
      [
        { mode: "reference", targetSpeedup: 2 },
        "targetSpeedup must not be given in mode reference",
      ],
      [{ trials: 9 }, "trials must not be given in mode guided"],
      [{ mode: "fit" }, "mode fit needs either a targetSpeedup or a targetPsnr"],
      [{ mode: "fit", targetSpeedup: 2, targetPsnr: 30 }, "either a targetSpeedup or a targetPsnr"],
      [{ mode: "fit", targetSpeedup: 2 }, "runs must be at least 3"],
      [{ mode: "fit", targetSpeedup: 7, runs: 3 }, "target speed-up of 7 over 6 steps"],
      ...[0, -1, 2.5, NaN].flatMap((trials) =>
        (["fit", "search"] as const).map((mode) =>
          [{ mode, targetSpeedup: 2, runs: 3, trials }, "trials must be a whole number"] as const
        )
      ),
      [{ mode: "fit", targetSpeedup: 2, timeBudget: NaN }, "timeBudget must be seconds"],
      [{ mode: "fit", targetSpeedup: 2, timeBudget: -1 }, "timeBudget must be seconds"],
      [{ mode: "search", targetSpeedup: 2, targetPsnr: 30 }, "targetPsnr must not be given"],
      [{ mode: "search", targetSpeedup: 2, warmup: 0 }, "warmup must not be given in mode search"],
      [{ steps: 0 }, "steps must be an integer in 1 … 1000"],
    ];
    for (const [options, message] of wrong) {
      const call = () => calibrate(pipeline, { ...SMALL, ...options as CalibrateOptions });
      const error = await assertRejects(call);
      assert(error instanceof Error && error.message.includes(message), `${error}`);
    }
    const plan = await calibrate(pipeline, SMALL);
    await assertRejects(() => compare(pipeline, { plan, rounds: 0 }), RangeError, "rounds must be");
  });
});

Deno.test("modes and policies that leave a run's steps are refused for a model that is told of each, by name", async () => {
  const model = new URL("../golden/odelt/", import.meta.url);
  const pipeline = await openPipeline({ backend: "wasm", model });
  const about = { ...SMALL, runs: 3 };
  for (const way of [{ mode: "fit", targetSpeedup: 2 }, { policy: "sencache" }] as const) {
    await assertRejects(
      () => calibrate(pipeline, { ...about, ...way }),
      PlanError,
      "Cannot calibrate odelt: this mode or policy asks for times outside of a run",
    );
  }
  const plan = await calibrate(pipeline, { ...about, policy: "fora" });
  assertEquals(plan.sampler.name, "flow-euler");
  await pipeline.close();
});

Deno.test("calibrate() in mode fit gives few calls of the model, the same bytes each time, near the converged solution", async () => {
  await withPipeline(async (pipeline) => {
    const options = { ...SMALL, runs: 3, mode: "fit", targetSpeedup: 2, trials: 5 } as const;
    const counted: number[] = [];
    const onProgress = (done: number, total: number): void => void counted.push(total - done);
    const plan = await calibrate(pipeline, { ...options, onProgress });
    assertEquals([plan.version, plan.rows.length, counted.at(-1)], [2, 3, 0]);
    assertEquals(plan.reference, { sampler: "ddim", steps: 6 });
    assertEquals(plan.policy.parameters["trials"], 5);
    assertEquals(formatPlan(await calibrate(pipeline, options)), formatPlan(plan));
    const found = await compare(pipeline, { plan, runs: 2 });
    assertEquals([found.steps, found.predictedSpeedup], [6, 2]);
  });
});

Deno.test("calibrate() in mode fit refines weights and times together where moving visits leaves trials", async () => {
  await withPipeline(async (pipeline) => {
    const options = { ...SMALL, runs: 6, mode: "fit", targetSpeedup: 2 } as const;
    const [few, many] = [
      await calibrate(pipeline, { ...options, trials: 12 }),
      await calibrate(pipeline, { ...options, trials: 200 }),
    ];
    const isRefined = ({ sampler: { times } }: Plan): boolean =>
      times.every((time) => Number(time.toPrecision(8)) === time); // nodes have more digits
    assertEquals([isRefined(few), isRefined(many)], [false, true]);
    const [before, after] = [few, many].map(({ policy }) => policy.parameters["heldBackDb"]!);
    assert(after! > before!, `${before} became ${after} dB`);
  });
});

Deno.test("calibrate() in mode fit takes as many calls as a PSNR needs", async () => {
  await withPipeline(async (pipeline) => {
    const psnrOf = (plan: Plan): number => plan.policy.parameters["heldBackDb"] as number;
    const options = { ...SMALL, runs: 3, mode: "fit", trials: 1 } as const;
    const [two, four] = [
      await calibrate(pipeline, { ...options, targetSpeedup: 3 }),
      await calibrate(pipeline, { ...options, targetSpeedup: 1.5 }),
    ];
    assert(psnrOf(four) > psnrOf(two) + 1);
    const targetPsnr = (psnrOf(two) + psnrOf(four)) / 2;
    const plan = await calibrate(pipeline, { ...options, targetPsnr });
    assert(plan.rows.length > 2 && plan.rows.length <= 4 && psnrOf(plan) >= targetPsnr);
    const call = () => calibrate(pipeline, { ...options, targetPsnr: 99 });
    await assertRejects(
      call,
      RangeError,
      "at most 6 calls of the model reaches the target of 99 dB",
    );
  });
});
