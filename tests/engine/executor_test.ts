import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import type { Backend } from "../../src/backend/backend.ts";
import { openWasm } from "../../src/backend/wasm.ts";
import { Executor } from "../../src/engine/executor.ts";
import { FeatureCache } from "../../src/engine/feature_cache.ts";
import { runSteps } from "../../src/engine/run.ts";
import { fullStep } from "../../src/engine/segment/step_segments.ts";
import type { Model } from "../../src/model/model.ts";
import { assertClose } from "../conformance/compare.ts";
import { FULL, interfere, type Interference, openSmallModel, runOf } from "./small_model.ts";

/** Every kind of step: full, full that stores, reuse of both states, mixed, mixed that stores a state. */
const ROWS = [FULL, "=", ".r.r.r", "+", "r.rr..", "=", FULL];
const NOTHING = { values: 0, sessions: 0 };

/** A model and an executor behind a backend that may interfere; nothing is left alive at the end. */
async function withExecutor(
  interference: Interference,
  use: (model: Model, executor: Executor) => Promise<void>,
): Promise<void> {
  const model = await openSmallModel();
  const backend: Backend = await openWasm();
  const { transformer, weights } = model;
  const executor = new Executor(interfere(backend, interference), transformer, weights);
  try {
    await use(model, executor);
    await executor.dispose();
    assertEquals(backend.live, NOTHING);
  } finally {
    await backend.dispose();
    await model.close();
  }
}

async function latentsOf(model: Model, executor: Executor): Promise<Float32Array> {
  const loop = runSteps(await runOf(model, executor, ROWS));
  for (let next = await loop.next();; next = await loop.next()) {
    if (next.done === true) return next.value.latents.data;
  }
}

for (const weights of ["initializers", "inputs"] as const) {
  Deno.test(`a run that fails in any of its graphs leaves nothing alive, with weights as ${weights}`, async () => {
    let runs = 0;
    let failing = Infinity;
    const onRun = (name: string): void => {
      if (++runs === failing) throw new Error(`${name} fails`);
    };
    await withExecutor({ weights, onRun }, async (model, executor) => {
      const wanted = await latentsOf(model, executor);
      const { live } = executor.backend;
      const total = runs;
      for (failing = 1; failing <= total; failing++) {
        runs = 0;
        const run = await runOf(model, executor, ROWS);
        const loop = runSteps(run);
        await assertRejects(
          async () => {
            for await (const _ of loop);
          },
          Error,
          "fails",
        );
        assertEquals(executor.backend.live, live, `after failing in run ${failing} of ${total}`);
        assertEquals(run.features.bytes, 0);
      }
      runs = 0;
      assertEquals(await latentsOf(model, executor), wanted);
    });
  });
}

Deno.test("a run works again after one that failed, where a failure spoils sessions", async () => {
  let failing = false;
  const onRun = (name: string): void => {
    if (failing && name === "head") throw new Error(`${name} fails`);
  };
  await withExecutor({ onRun, spoils: true }, async (model, executor) => {
    const wanted = await latentsOf(model, executor);
    const { live } = executor.backend;
    failing = true;
    await assertRejects(() => latentsOf(model, executor), Error, "head fails");
    failing = false;
    assertEquals(await latentsOf(model, executor), wanted);
    assertEquals(executor.backend.live, live);
  });
});

Deno.test("a graph that failed to load is loaded anew by the next run", async () => {
  const failed = new Set<string>();
  const onLoad = (name: string): void => {
    if (failed.has(name)) return;
    failed.add(name);
    throw new Error(`${name} fails`);
  };
  await withExecutor({ onLoad }, async (model, executor) => {
    let failures = 0;
    while (!await latentsOf(model, executor).then(() => true, () => false)) {
      failures++;
      assertEquals(failed.size, failures); // each graph fails once, whichever is first
      assertEquals(executor.backend.live.values, 0);
    }
    assertEquals(
      [...failed].filter((name) => name === "conditioning" || name === "head").length,
      2,
    );
  });
});

Deno.test("an executor loads each graph once, however many steps and runs use it", async () => {
  const loaded: string[] = [];
  await withExecutor({ onLoad: (name) => loaded.push(name) }, async (model, executor) => {
    await latentsOf(model, executor);
    const first = loaded.splice(0);
    assertEquals(new Set(first).size, first.length);
    await latentsOf(model, executor);
    assertEquals(loaded, []); // nor does a run load its conditioning again, which is small
  });
});

Deno.test("load() loads a full step's graphs, hears of each, and leaves none for the step", async () => {
  const loaded: string[] = [];
  await withExecutor({ onLoad: (name) => loaded.push(name) }, async (model, executor) => {
    const full = fullStep(model.transformer.modules.length);
    const heard: string[] = [];
    await executor.load(full, { onLoaded: (done, total) => heard.push(`${done}/${total}`) });
    assertEquals(heard, Array.from({ length: 8 }, (_, i) => `${i + 1}/8`));
    assertEquals(executor.backend.live, { values: 0, sessions: 8 });
    const before = loaded.length;
    const run = await runOf(model, executor, [FULL]);
    for await (const _ of runSteps(run));
    assertEquals(loaded.slice(before), ["conditioning", "modulation of blocks.0.attn"]);
  });
});

Deno.test("load() stops between sessions when it is told to", async () => {
  await withExecutor({}, async (model, executor) => {
    const stop = new AbortController();
    const full = fullStep(model.transformer.modules.length);
    const onLoaded = (done: number): void => {
      if (done === 3) stop.abort();
    };
    const { signal } = stop;
    const error = await assertRejects(() => executor.load(full, { signal, onLoaded }));
    assertEquals(error.name, "AbortError");
    assertEquals(executor.backend.live.sessions, 3);
  });
});

Deno.test("a full step is one graph where weights are inputs, and one a part where sessions own them", async () => {
  await withExecutor({ weights: "inputs" }, (_, executor) => {
    assertEquals(executor.runsPerStep, 1);
    return Promise.resolve();
  });
  await withExecutor({}, (_, executor) => {
    assertEquals(executor.runsPerStep, 8); // embedding, six modules, head
    return Promise.resolve();
  });
});

Deno.test("segments of any length with shared weights make what single modules make", async () => {
  let owned = new Float32Array(0);
  await withExecutor({}, async (model, executor) => {
    owned = (await latentsOf(model, executor)).slice();
  });
  await withExecutor({ weights: "inputs" }, async (model, executor) => {
    const shared = await latentsOf(model, executor);
    const dims = [shared.length];
    // The runtime fuses operators within a graph, so sums may round in another order in each of seven steps.
    const tolerance = 2e-6;
    assertClose({ dims, data: shared }, { dims, data: owned }, { tolerance, what: "latents" });
  });
});

Deno.test("weights that segments share are on the device once", async () => {
  await withExecutor({ weights: "inputs" }, async (model, executor) => {
    await latentsOf(model, executor);
    assertEquals(executor.backend.live.values, [...model.weights.names].length);
  });
});

Deno.test("the features of a run are dropped after their last use", async () => {
  await withExecutor({}, async (model, executor) => {
    const run = await runOf(model, executor, [FULL, ".r.r.r", FULL, FULL]);
    const kept: number[] = [];
    for await (const _ of runSteps(run)) kept.push(run.features.bytes);
    const feature = 16 * 48 * 4; // tokens, width, bytes
    assertEquals(kept, [3 * feature, 0, 0, 0]);
    assertEquals(run.features.peakBytes, 3 * feature);
  });
});

Deno.test("a feature cache says what is wrong with what is loaded from it", async () => {
  const backend = await openWasm();
  const features = new FeatureCache();
  assertThrows(() => features.load("x", [[1]]), Error, "x is loaded but was not stored");
  const value = backend.upload({ dims: [2], data: new Float32Array(2) });
  features.store("x", [value]);
  assertEquals(features.load("x", [[2]]), [value]);
  const message = "kept x must be [1,2]: current value is [2]";
  assertThrows(() => features.load("x", [[1, 2]]), Error, message);
  features.dispose();
  assertEquals(backend.live, NOTHING);
  await backend.dispose();
});
