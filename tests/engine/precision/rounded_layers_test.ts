/** Weights in integers, through the whole engine. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import type { Weights } from "../../../src/assets/weights.ts";
import type { Backend, Session, Value } from "../../../src/backend/backend.ts";
import { openBackend } from "../../../src/backend/select.ts";
import { findPlan, loadPlan } from "../../../src/engine/bundled_plans.ts";
import { exactByteType } from "../../../src/engine/precision/byte_product.ts";
import { Executor } from "../../../src/engine/executor.ts";
import { memoryNeeds } from "../../../src/engine/memory/needs.ts";
import { openEngine } from "../../../src/engine/engine.ts";
import type { PipelineOptions } from "../../../src/engine/pipeline.ts";
import {
  ERROR_LIMITS,
  type LayerPrecision,
  RoundedLayers,
  roundedLowering,
  type WeightPrecision,
} from "../../../src/engine/precision/rounded_layers.ts";
import { roundLayers } from "../../../src/engine/precision/choose.ts";
import { fullStep, fullSteps } from "../../../src/engine/segment/step_segments.ts";
import { BackendError } from "../../../src/errors.ts";
import { sliceRows } from "../../../src/tensor/rows.ts";
import { requires } from "../../_shim/requires.ts";
import { relativeError } from "../../conformance/compare.ts";
import { FULL, interfere, openSmallModel, runOf } from "../small_model.ts";
import { FASHION_DIT } from "../../fashion_dit.ts";

const DIT_A = new URL("../../golden/dit-a/", import.meta.url);

for (const backend of ["wasm", "native"] as const) {
  const options = await requires(
    `rounded weights on ${backend}`,
    ...backend === "wasm" ? [] : [backend],
  );
  Deno.test(
    `a picture's bytes do not depend on its batch in int8 and int4 on ${backend}`,
    options,
    async () => {
      for (const weights of ["int8", "int4"] as const) {
        const pipeline = await openEngine({ model: FASHION_DIT, backend, weights });
        const labels = [3, 9, 0, 5];
        const { latents } = await pipeline.generate({ labels, seed: 40, steps: 2 });
        for (const [i, label] of labels.entries()) {
          const alone = await pipeline.generate({ labels: [label], seed: 40 + i, steps: 2 });
          assertEquals(alone.latents.data, sliceRows(latents, i, 1).data);
        }
        await pipeline.close();
      }
    },
  );
}

Deno.test("int8 is close to float32 and int4 less so; a plan's notice says that it is another precision", async () => {
  const request = { labels: [1, 8], seed: 3, plan: loadPlan("fashion-dit.ddim25.fast") };
  const results = new Map<WeightPrecision, Float32Array>();
  for (const weights of ["f32", "int8", "int4"] as const) {
    const pipeline = await openEngine({ model: FASHION_DIT, backend: "wasm", weights });
    assert(await findPlan(pipeline.model) !== undefined); // bundled plans still bind
    const { latents, notices } = await pipeline.generate(request);
    const notice = `The plan was made for precision float32; this run has ${weights}.`;
    assertEquals(notices, weights === "f32" ? [] : [notice]);
    assertEquals(pipeline.precision.weights, weights);
    results.set(weights, latents.data);
    await pipeline.close();
  }
  const off = (weights: WeightPrecision): number =>
    relativeError(results.get(weights)!, results.get("f32")!);
  // Pictures are ±1: a share of the largest number. Sampling amplifies a step's 0.6 % and 3 %.
  assert(off("int8") > 0 && off("int8") < 0.15, `${off("int8")}`);
  assert(off("int4") > off("int8") && off("int4") < 0.8, `${off("int4")}`);
});

Deno.test("a plan that reuses nothing gives the bits of no plan, in int8 and int4 too", async () => {
  const model = await openSmallModel();
  const { backend } = await openBackend({ backend: "wasm" });
  for (const precision of ["int8", "int4"] as const) {
    const rounded = await roundLayers(model, backend, precision);
    const executor = new Executor(backend, model.transformer, model.weights, rounded);
    const run = await runOf(model, executor, [FULL, FULL]);
    const [planned, plain] = [await last(run), await last({ ...run, steps: fullSteps(2, 6) })];
    assertEquals(planned, plain);
    await executor.dispose();
  }
  await backend.dispose();
  await model.close();
});

Deno.test("layers are rounded as their module is loaded, never the whole model at once", async () => {
  const model = await openSmallModel();
  const read: string[] = [];
  const weights = {
    ...model.weights,
    read: (name: string) => (read.push(name), model.weights.read(name)),
  };
  const { backend } = await openBackend({ backend: "wasm" });
  const most: number[] = [];
  const onLoad = (): void => void most.push(read.splice(0).length);
  const watched = interfere(backend, { onLoad });
  const rounded = new RoundedLayers(weights, { precision: "int8", byteType: "int8" });
  const executor = new Executor(watched, model.transformer, weights, rounded);
  await executor.load(fullStep(6));
  assertEquals(most.slice(1, -1), [4, 4, 4, 4, 4, 4]); // two matrices, two biases, before each load
  assertEquals(rounded.layers.length, 12);
  assert(rounded.layers.every(({ name }) => /^blocks\.\d\.(attn|mlp)\./.test(name)));
  await executor.dispose();
  await backend.dispose();
  await model.close();
});

Deno.test("where weights are inputs each rounded layer is uploaded before the next is made", async () => {
  const model = await openSmallModel();
  const { backend } = await openBackend({ backend: "wasm" });
  const inputs = interfere(backend, { weights: "inputs" });
  const rounded = new RoundedLayers(model.weights, { precision: "int8", byteType: "uint8" });
  const most: number[] = [];
  const decide = rounded.decide.bind(rounded);
  rounded.decide = async (names, signal) => {
    assertEquals(rounded.held, []);
    await decide(names, signal);
    most.push(rounded.held.length);
  };
  const executor = new Executor(inputs, model.transformer, model.weights, rounded);
  await executor.load(fullStep(6));
  assertEquals(most, new Array(12).fill(2)); // integers and scales of one layer
  assertEquals(rounded.held, []);
  await executor.dispose();
  await backend.dispose();
  await model.close();
});

Deno.test("a layer that rounding would spoil stays float32, and so does one that blocks do not fill", async () => {
  const model = await openSmallModel();
  const spoilt = "blocks.1.mlp.fc2.weight";
  const weights: Weights = {
    ...model.weights,
    read: async (name) => {
      const tensor = await model.weights.read(name);
      const width = tensor.dims[1] ?? 1;
      // One input of each output is 100 times the others: it takes the whole range.
      if (name === spoilt) tensor.data.forEach((v, i) => tensor.data[i] = i % width === 0 ? 9 : v);
      return tensor;
    },
  };
  const names = [spoilt, "blocks.0.mlp.fc2.weight", "blocks.0.mlp.fc1.weight"];
  const decided = async (precision: "int8" | "int4"): Promise<LayerPrecision[]> => {
    const layers = new RoundedLayers(weights, { precision, byteType: "int8" });
    await layers.decide(names);
    return [...layers.layers];
  };
  const [int8, int4] = [await decided("int8"), await decided("int4")];
  assertEquals(int8.map(({ rounded }) => rounded), [false, true, true]);
  assert(int8[0]!.error! > ERROR_LIMITS.int8 && int8[1]!.error! < ERROR_LIMITS.int8);
  assertEquals(int4.map(({ rounded }) => rounded), [false, true, false]);
  assertEquals(int4[2]!.error, undefined); // 48 inputs
  await model.close();
});

Deno.test("float16 weights that stay so give the bits of float32; others are float32", async () => {
  const model = await openSmallModel();
  const changed = "blocks.0.mlp.fc1.weight";
  const weights: Weights = {
    ...model.weights,
    read: async (name) => {
      const tensor = await model.weights.read(name);
      if (name === changed) tensor.data[7] = 1 / 3; // no float16
      return tensor;
    },
  };
  const { backend } = await openBackend({ backend: "wasm" });
  const results: Float32Array[] = [];
  for (const kept of [new RoundedLayers(weights, { precision: "f16" }), undefined]) {
    const executor = new Executor(backend, model.transformer, weights, kept);
    results.push(await last(await runOf(model, executor, [FULL, FULL])));
    const floats = kept?.layers.filter(({ rounded }) => !rounded) ?? [];
    assertEquals(floats.map(({ name }) => name), kept === undefined ? [] : [changed]);
    assertEquals(kept?.layers.length ?? 12, 12);
    await executor.dispose();
  }
  assertEquals(results[0], results[1]);
  await backend.dispose();
  await model.close();
});

Deno.test("a backend that reads float16 gets float16 weights of large models, and others do not", async () => {
  const model = await openSmallModel();
  const { backend } = await openBackend({ backend: "wasm" });
  assertEquals(await roundLayers(model, backend, "f32"), undefined);
  const reads = { ...interfere(backend, {}), half: "slow" as const };
  assertEquals(await roundLayers(model, reads, "f32"), undefined);
  const weights: Weights = { ...model.weights, dims: () => [2 ** 30] };
  const half = await roundLayers({ ...model, weights }, reads, "f32");
  assertEquals(half?.options.precision, "f16");
  await backend.dispose();
  await model.close();
});

const gpu = await requires("float16 weights on webgpu", "webgpu");
Deno.test(
  "on WebGPU float16 weights stay so, at half the bytes and the same bits",
  gpu,
  async () => {
    const model = await openSmallModel();
    const { backend } = await openBackend({ backend: "webgpu" });
    const results: Float32Array[] = [];
    for (const kept of [new RoundedLayers(model.weights, { precision: "f16" }), undefined]) {
      const executor = new Executor(backend, model.transformer, model.weights, kept);
      results.push(await last(await runOf(model, executor, [FULL, FULL])));
      await executor.dispose();
    }
    assertEquals(results[0], results[1]);
    await backend.dispose();
    await model.close();
  },
);

Deno.test("a segment that is loaded once more gets its numbers once more", async () => {
  const model = await openSmallModel();
  const layers = new RoundedLayers(model.weights, { precision: "int8", byteType: "uint8" });
  const name = "blocks.0.mlp.fc1.weight";
  await layers.decide([name]);
  const node = { name, type: "uint8", dims: [] } as const;
  const scale = { name: `${name}.scale`, type: "float32", dims: [] } as const;
  const [first, scales] = [await layers.read(node), await layers.read(scale)];
  assertEquals([await layers.read(node), await layers.read(scale)], [first, scales]);
  assert(first instanceof Uint8Array && scales instanceof Float32Array);
  assertEquals(await layers.read({ ...node, name: "blocks.0.mlp.fc1.bias" }), undefined);
  await model.close();
});

Deno.test("bytes are unsigned where a backend cuts sums of signed ones off", async () => {
  const { backend } = await openBackend({ backend: "wasm" });
  assertEquals(await exactByteType(backend), "int8"); // 16-bit products, added in 32 bits
  const before = backend.live;
  assertEquals(await exactByteType(saturating(backend)), "uint8");
  assertEquals(backend.live, before);
  await backend.dispose();
});

Deno.test("what a precision cannot be is refused by name", async () => {
  const open = (options: PipelineOptions): Promise<unknown> =>
    openEngine({ model: DIT_A, ...options });
  const unknown = "int3" as WeightPrecision; // as from JavaScript
  const refused = await assertRejects(() => open({ backend: "wasm", weights: unknown }), TypeError);
  assertStringIncludes(refused.message, "weights must be f32, int8, int4: current value is int3");
  const model = await openSmallModel();
  const { backend } = await openBackend({ backend: "wasm" });
  const onGpu: Backend = { ...interfere(backend, { weights: "inputs" }), name: "webgpu" };
  const error = await assertRejects(() => roundLayers(model, onGpu, "int8"), BackendError);
  assertStringIncludes(error.message, "weights must be f32 or int4");
  await backend.dispose();
  await model.close();
});

Deno.test("memoryNeeds() of rounded weights are a quarter and an eighth, scales and biases apart", async () => {
  const pipeline = await openEngine({ model: FASHION_DIT, backend: "wasm" });
  const { transformer } = pipeline.model;
  await pipeline.close();
  const needs = (precision: "int8" | "int4"): number =>
    memoryNeeds(transformer, roundedLowering({ precision, byteType: "int8" })).weights;
  const matrices = 12 * 12 * 192 ** 2;
  const rows = 12 * (3 + 1 + 4 + 1) * 192;
  const { weights } = memoryNeeds(transformer);
  assertEquals(needs("int8"), weights - 3 * matrices + 4 * rows);
  assertEquals(needs("int4"), weights - 4 * matrices + matrices / 2 + 4 * matrices / 32);
});

async function last(run: Awaited<ReturnType<typeof runOf>>): Promise<Float32Array> {
  const { runSteps } = await import("../../../src/engine/run.ts");
  const steps = runSteps(run);
  for (let next = await steps.next();; next = await steps.next()) {
    if (next.done === true) return next.value.latents.data;
  }
}

/** A backend whose products of bytes are cut off at 16 bits in pairs, as on x86 without VNNI. */
function saturating(backend: Backend): Backend {
  const cut = (session: Session): Session => ({
    name: session.name,
    run: async (inputs, outputs) => {
      const results = await session.run(inputs, outputs);
      const cutOff: Record<string, Value> = {};
      for (const [name, value] of Object.entries(results)) {
        const { dims, data } = await backend.download(value);
        value.dispose();
        cutOff[name] = backend.upload({ dims, data: data.map((sum) => Math.min(sum, 32 * 32767)) });
      }
      return cutOff;
    },
    dispose: () => session.dispose(),
  });
  return { ...interfere(backend, {}), load: async (model) => cut(await backend.load(model)) };
}
