import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { type Engine, openEngine } from "../../src/engine/engine.ts";
import { AssetError, BackendError, PlanError } from "../../src/errors.ts";
import { makePlan } from "../../src/plan/fit.ts";
import type { Plan } from "../../src/plan/plan.ts";
import { planTarget } from "../../src/engine/plan_facts.ts";
import { linearSchedule } from "../../src/sampler/noise_schedule.ts";
import { normalNoise } from "../../src/tensor/random.ts";
import { sliceRows } from "../../src/tensor/rows.ts";
import { rowsOf } from "../plan/example_plans.ts";

const MODEL = new URL("../golden/dit-a/", import.meta.url);
const FULL = ".".repeat(6);

Deno.test("steps() yields every step with its time and latents, generate() its last", async () => {
  await withPipeline(async (pipeline) => {
    const options = { labels: [1, 2], steps: 4, seed: 3 };
    const times: number[] = [];
    let last: Float32Array | undefined;
    for await (const { time, latents, kind } of pipeline.steps(options)) {
      times.push(time);
      last = latents!.data;
      assertEquals(kind, "full");
    }
    assertEquals(times, linearSchedule(4).times);
    assertEquals((await pipeline.generate(options)).latents.data, last);
  });
});

Deno.test("picture i comes from seed + i, whatever its neighbours", async () => {
  await withPipeline(async (pipeline) => {
    const both = await pipeline.generate({ labels: [1, 2], steps: 3, seed: 8 });
    const second = await pipeline.generate({ labels: [2], steps: 3, seed: 9 });
    const size = second.latents.data.length;
    assertEquals(both.latents.data.slice(size), second.latents.data);
    const given = await pipeline.generate({
      labels: [2],
      steps: 3,
      noise: normalNoise([1, 4, 8, 8], 9),
    });
    assertEquals(given.latents.data, second.latents.data);
    assertEquals(given.seeds, []);
    assertEquals(both.seeds, [8, 9]);
    const apart = await pipeline.generate({ labels: [2, 2], steps: 3, seeds: [9, 5] });
    assertEquals(apart.latents.data.slice(0, size), second.latents.data);
  });
});

Deno.test("a guidance of 1 runs no null half and another result than guidance", async () => {
  await withPipeline(async (pipeline) => {
    const options = { labels: [1], steps: 3 };
    const unguided = await pipeline.generate({ ...options, guidance: 1 });
    const guided = await pipeline.generate({ ...options, guidance: 4 });
    assertNotEquals(unguided.latents.data, guided.latents.data);
  });
});

Deno.test("each picture may have a guidance of its own, and gets what it would get alone", async () => {
  await withPipeline(async (pipeline) => {
    const noise = normalNoise([2, 4, 8, 8], 5);
    const both = await pipeline.generate({ labels: [1, 2], steps: 3, noise, guidance: [4, 1.5] });
    const size = noise.data.length / 2;
    for (const [i, guidance] of [4, 1.5].entries()) {
      const alone = await pipeline.generate({
        labels: [i + 1],
        steps: 3,
        noise: sliceRows(noise, i, 1),
        guidance,
      });
      assertEquals(both.latents.data.slice(i * size, (i + 1) * size), alone.latents.data);
    }
    for (const guidance of [[4], [4, 1], [4, NaN]]) {
      await assertRejects(
        () => pipeline.generate({ labels: [1, 2], steps: 3, guidance }),
        RangeError,
        "Cannot generate: guidance must be",
      );
    }
  });
});

Deno.test("steps() foresees the finished picture, and in the last step foresees what it made", async () => {
  await withPipeline(async (pipeline) => {
    const distances: number[] = [];
    const run = pipeline.steps({ labels: [1], steps: 6, seed: 2 });
    const estimates: Float32Array[] = [];
    let last = new Float32Array();
    for await (const { estimate, latents } of run) {
      estimates.push(estimate!.data);
      last = latents!.data.slice();
    }
    for (const estimate of estimates) {
      distances.push(estimate.reduce((sum, value, i) => sum + Math.abs(value - last[i]!), 0));
    }
    assertEquals(distances.at(-1), 0); // no noise is added back behind the last step
    assert(distances[0]! > distances.at(-2)!, `${distances}`);
  });
});

Deno.test("a plan without reuse gives latents identical to no plan", async () => {
  await withPipeline(async (pipeline) => {
    const plan = await planOf(pipeline, [FULL, FULL, FULL, FULL]);
    const options = { labels: [0, 5], seed: 4 };
    const planned = await pipeline.generate({ ...options, plan });
    const plain = await pipeline.generate({ ...options, steps: 4 });
    assertEquals(planned.latents.data, plain.latents.data);
    assertEquals(planned.peakFeatureBytes, 0);
  });
});

Deno.test("every kind of row runs, and nothing is left on the device", async () => {
  await withPipeline(async (pipeline) => {
    const plan = await planOf(pipeline, [FULL, "=", "+", ".r.r.r", "=", "rrrrrr", FULL, "+"]);
    const kinds: string[] = [];
    for await (const { kind } of pipeline.steps({ labels: [0], plan })) kinds.push(kind);
    assertEquals(kinds, ["full", "reuse", "reuse", "mixed", "reuse", "reuse", "full", "reuse"]);
    assertEquals(pipeline.backend.live.values, 0);
  });
});

Deno.test("a kept hidden state and a kept residual on a fresh embedding are different results", async () => {
  await withPipeline(async (pipeline) => {
    const results = await Promise.all(["=", "+"].map(async (mark) => {
      const plan = await planOf(pipeline, [FULL, mark, FULL]);
      return (await pipeline.generate({ labels: [0], plan })).latents.data;
    }));
    assertNotEquals(results[0], results[1]);
  });
});

Deno.test("an aborted run rejects, leaves nothing behind and does not touch the next one", async () => {
  await withPipeline(async (pipeline) => {
    const plan = await planOf(pipeline, [FULL, "rrrrrr", "=", FULL]);
    const wanted = await pipeline.generate({ labels: [3], plan });
    const live = pipeline.backend.live;
    for (const stopAfter of [0, 1, 2]) {
      const interrupt = new AbortController();
      const run = pipeline.steps({ labels: [3], plan, signal: interrupt.signal });
      await assertRejects(async () => {
        for await (const { index } of run) if (index === stopAfter) interrupt.abort();
      }, DOMException);
      assertEquals(pipeline.backend.live, live);
    }
    for await (const _ of pipeline.steps({ labels: [3], plan })) break;
    assertEquals(pipeline.backend.live, live);
    assertEquals(
      (await pipeline.generate({ labels: [3], plan })).latents.data,
      wanted.latents.data,
    );
  });
});

Deno.test("two runs of one pipeline at once do not mix", async () => {
  await withPipeline(async (pipeline) => {
    const plan = await planOf(pipeline, [FULL, "rrrrrr", "=", FULL]);
    const one = { labels: [1], seed: 1, plan };
    const other = { labels: [2, 4], seed: 5, steps: 4 };
    const apart = [await pipeline.generate(one), await pipeline.generate(other)];
    const together = await Promise.all([pipeline.generate(one), pipeline.generate(other)]);
    together.forEach(({ latents }, i) => assertEquals(latents.data, apart[i]!.latents.data));
  });
});

Deno.test("close() frees sessions and values", async () => {
  const pipeline = await openEngine({ backend: "wasm", model: MODEL });
  await pipeline.generate({ labels: [1], steps: 2 });
  await pipeline.close();
  assertEquals(pipeline.backend.live, { values: 0, sessions: 0 });
  await assertRejects(
    () => pipeline.generate({ labels: [1], steps: 2 }),
    BackendError,
    "pipeline is closed",
  );
});

Deno.test("options out of range are refused with what, wanted and got", async () => {
  await withPipeline(async (pipeline) => {
    const refused = (options: object, message: string): Promise<unknown> =>
      assertRejects(() => pipeline.generate(options), RangeError, message);
    await refused({ labels: [7] }, "label must be an index in 0 … 6: current value is 7");
    await refused({ labels: ["shoe"] }, "current value is shoe");
    await refused({ labels: [] }, "must name at least one class");
    await refused({ steps: 0 }, "steps must be an integer in 1 … 1000: current value is 0");
    await refused({ steps: 1001 }, "current value is 1001");
    await refused({ seed: -1 }, "seed must be an integer");
    await refused({ guidance: NaN }, "guidance must be at least 0");
    const noise = normalNoise([1, 4, 8, 4], 1);
    await refused({ labels: [1], noise }, "noise must be [1,4,8,8]: current value is [1,4,8,4]");
    const infinite = normalNoise([1, 4, 8, 8], 1);
    infinite.data[5] = Infinity;
    await refused({ labels: [1], noise: infinite }, "noise must be finite");
  });
});

Deno.test("a plan for other steps or another model is refused", async () => {
  await withPipeline(async (pipeline) => {
    const plan = await planOf(pipeline, [FULL, "=", FULL]);
    await assertRejects(() => pipeline.generate({ plan, steps: 5 }), PlanError, "steps must be 3");
    const foreign = { ...plan, fingerprints: [`sha256:${"0".repeat(64)}`] };
    await assertRejects(
      () => pipeline.generate({ plan: foreign }),
      PlanError,
      "fingerprint must be",
    );
    const unbound = { ...plan, fingerprints: [] };
    await assertRejects(() => pipeline.generate({ plan: unbound }), PlanError, "plan bind");
    const { notices } = await pipeline.generate({
      plan,
      guidance: 2.5,
      label: 0,
      output: "latents",
    });
    assertEquals(notices.length, 1);
    assert(notices[0]!.includes("guidance"));
  });
});

Deno.test("a model that is not there is an AssetError", async () => {
  await assertRejects(() => openEngine({ backend: "wasm", model: "/nowhere" }), AssetError);
});

async function withPipeline(fn: (pipeline: Engine) => Promise<void>): Promise<void> {
  const pipeline = await openEngine({ backend: "wasm", model: MODEL });
  try {
    await fn(pipeline);
    assertEquals(pipeline.backend.live.values, 0);
  } finally {
    await pipeline.close();
  }
}

async function planOf({ model }: Engine, rows: readonly string[]): Promise<Plan> {
  const { times } = linearSchedule(rows.length);
  const target = await planTarget(model, { times, guidance: 4 });
  return makePlan(target, rowsOf(rows), { policy: { name: "hand", parameters: {} } });
}
