/** A packed model is its source, rounded, and nothing else. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import {
  encodeNumbers,
  encodeSafetensors,
} from "../../../src/assets/formats/safetensors_writer.ts";
import type { Manifest } from "../../../src/assets/manifest.ts";
import type { ModelLocation } from "../../../src/assets/location.ts";
import { packModel, type PackTask } from "../../../src/engine/pack/pack.ts";
import { FASHION_DIT } from "../../fashion_dit.ts";
import { openEngine } from "../../../src/engine/engine.ts";
import type { PipelineOptions } from "../../../src/engine/pipeline.ts";
import { PACKED_PRECISIONS, SMALLEST } from "../../../src/engine/pack/packed_file.ts";
import { choosePrecision } from "../../../src/engine/precision/choose.ts";
import type { WeightPrecision } from "../../../src/engine/precision/rounded_layers.ts";
import { AssetError, BackendError } from "../../../src/errors.ts";
import { openModel } from "../../../src/model/open_model.ts";
import { decodeFloat16, encodeFloat16 } from "../../../src/tensor/half.ts";
import { elementCount, type Tensor } from "../../../src/tensor/tensor.ts";
import { joinBytes } from "../../../src/tensor/bytes.ts";
import { requires } from "../../_shim/requires.ts";
import { relativeError } from "../../conformance/compare.ts";
import { fluxConditions } from "../pipeline_files.ts";

const DIT_A = new URL("../../golden/dit-a/", import.meta.url);
const FLUX_A = new URL("../../golden/flux-a/", import.meta.url);
const FLUX_A_BFL = new URL("../../golden/flux-a-bfl/", import.meta.url);

for (
  const [name, location] of [
    ["small DiT", DIT_A],
    ["DiT with large modulation", FASHION_DIT],
    ["FLUX under diffusers' names", FLUX_A],
    ["FLUX under the original's names", FLUX_A_BFL],
  ] as const
) {
  Deno.test(`a packed ${name} gives the bits of its source rounded at load, and has its fingerprint`, async () => {
    for (const precision of ["int8", "int4"] as const) {
      const packed = await pack(location, precision);
      const source = await draw(location);
      const atLoad = await draw(await withOthersOf(packed, location), precision);
      const opened = await draw(packed);
      assertEquals([opened.latents, opened.precision], [atLoad.latents, precision]);
      assertEquals(opened.fingerprint, source.fingerprint);
      const anew = await draw(packed, precision); // said as well as packed
      assertEquals(anew.latents, atLoad.latents);
    }
  });

  Deno.test(`a packed ${name} is expanded where that is asked for, or its own rule`, async () => {
    for (const precision of ["int8", "int4"] as const) {
      const packed = await pack(location, precision);
      const plain = await draw(await plainCopy(packed));
      const asked = await draw(packed, "f32");
      assertEquals([asked.latents, asked.precision], [plain.latents, "f32"]);
      const ruled = withManifest(packed, { arithmetic: "f32" });
      const opened = await draw(ruled);
      assertEquals([opened.latents, opened.precision], [plain.latents, "f32"]);
      assertEquals((await draw(ruled, precision)).latents, (await draw(packed)).latents);
    }
  });
}

Deno.test("matrices in integers are expanded on WebGPU, unless they are asked for", async () => {
  const model = await openModel(await pack(DIT_A, "int8"));
  const choose = (backend: "webgpu" | "native", wanted?: WeightPrecision): WeightPrecision =>
    choosePrecision(model, { backend, wanted });
  assertEquals([choose("webgpu"), choose("native")], ["f32", "int8"]);
  assertEquals([choose("webgpu", "int8"), choose("native", "f32")], ["int8", "f32"]); // opening refuses the first
  await model.close();
  const inFour = await openModel(await pack(DIT_A, "int4"));
  assertEquals(choosePrecision(inFour, { backend: "webgpu", wanted: undefined }), "int4");
  await inFour.close();
});

const gpu = await requires("packed models on webgpu", "webgpu");
Deno.test(
  "a model packed in int8 opens on WebGPU, its weights expanded as they are loaded",
  gpu,
  async () => {
    const packed = await pack(DIT_A, "int8");
    const open = (options: PipelineOptions): ReturnType<typeof openEngine> =>
      openEngine({ model: packed, precision: "f32", ...options });
    const latents: Float32Array[] = [];
    for (const options of [{ backend: "webgpu" }, { backend: "wasm", weights: "f32" }] as const) {
      const engine = await open(options);
      assertEquals(engine.precision.weights, "f32");
      latents.push(
        (await engine.generate({ labels: [2], steps: 3, output: "latents" })).latents.data,
      );
      await engine.close();
    }
    assert(relativeError(latents[0]!, latents[1]!) < 1e-4);
    await assertRejects(
      () => open({ backend: "webgpu", weights: "int8" }),
      BackendError,
      "weights must be f32 or int4",
    );
  },
);

Deno.test("a model packed in float16 has its source's fingerprint and opens as floats", async () => {
  const packed = await pack(DIT_A, "f16");
  const [source, opened] = [await draw(DIT_A), await draw(packed)];
  assertEquals(opened.fingerprint, source.fingerprint);
  assertEquals(opened.precision, "f32");
  const model = await openModel(packed);
  const original = await openModel(DIT_A);
  for (const name of original.weights.names) {
    const [a, b] = [await original.weights.read(name), await model.weights.read(name)];
    // Half of a unit in the last of 11 bits; below 2⁻¹⁴ half of 2⁻²⁴.
    assert(
      a.data.every((v, i) => Math.abs(v - b.data[i]!) <= Math.max(Math.abs(v) / 2048, 2 ** -25)),
    );
  }
  await original.close();
  await model.close();
});

Deno.test("a packed model is as large as its elements say", async () => {
  const model = await openModel(FASHION_DIT);
  const counts = [...model.weights.names].map((name) =>
    [name, elementCount(model.weights.dims(name)!)] as const
  );
  const layers = counts.filter(([name]) => /^blocks.*(attn|mlp).*weight$/.test(name));
  const sum = (list: readonly (readonly [string, number])[]): number =>
    list.reduce((total, [, count]) => total + count, 0);
  await model.close();
  const size = async (precision: PackTask["precision"]): Promise<number> =>
    (await pack(FASHION_DIT, precision)).get("weights.safetensors")!.length;
  const within = (actual: number, least: number): void =>
    assert(actual >= least && actual < 1.02 * least, `${actual} and ${least}`); // a header and scales
  within(await size("f16"), 2 * sum(counts));
  const large = counts.filter(([name, count]) => /weight$/.test(name) && count >= SMALLEST);
  const whole = new Map([...layers, ...large]);
  assert(whole.size > layers.length, "modulation is among them");
  within(await size("int8"), 2 * sum(counts) - sum([...whole])); // the source is float16
});

Deno.test("a packed model in another precision, or packed twice, is refused", async () => {
  const packed = await pack(DIT_A, "int8");
  const opening = () => openEngine({ model: packed, backend: "wasm", weights: "int4" });
  const error = await assertRejects(opening, AssetError);
  assertStringIncludes(
    error.message,
    "weights must be int8, as it was packed, or f32: current value is int4",
  );
  for (const precision of PACKED_PRECISIONS) {
    await assertRejects(() => pack(packed, precision), AssetError, "its weights must be floats");
  }
});

for (const [names, location] of [["diffusers'", FLUX_A], ["the original's", FLUX_A_BFL]] as const) {
  Deno.test(`a FLUX packed in float16 is the source's shares, under ${names} names`, async () => {
    const [original, model] = [
      await openModel(location),
      await openModel(await pack(location, "f16")),
    ];
    assertEquals(await model.fingerprint(), await original.fingerprint());
    assertEquals(model.sampler, original.sampler);
    assertEquals(model.weights.names, original.weights.names);
    for (const name of original.weights.names) {
      const [a, b] = [await original.weights.read(name), await model.weights.read(name)];
      assertEquals(b.dims, a.dims);
      const rounded = new Float32Array(a.data.length);
      decodeFloat16(encodeFloat16(a.data), rounded);
      assertEquals(b.data, rounded, name);
    }
    for (const { close } of [original, model]) await close();
  });
}

Deno.test("a packed FLUX is refused when a share of a projection is missing or has another shape", async () => {
  const packed = await pack(FLUX_A, "f16");
  const share = "single_transformer_blocks.0.proj_out.mlp.weight";
  const manifest: Manifest = JSON.parse(new TextDecoder().decode(packed.get("model.json")));
  const refuses = async (config: object, message: string): Promise<void> => {
    const json = JSON.stringify({ ...manifest, config: { ...manifest.config, ...config } });
    const files = new Map(packed).set("model.json", new TextEncoder().encode(json));
    await assertRejects(() => openModel(files), AssetError, message);
  };
  await refuses({ num_single_layers: 9 }, "single_transformer_blocks.");
  await refuses({ num_single_layers: 0 }, "is not part of");
  await refuses({ num_attention_heads: 1 }, "must be [");
  assert((await openModel(packed)).weights.names.has(share));
});

Deno.test("packing stops at a signal", async () => {
  const model = await openModel(DIT_A);
  const stop = new AbortController();
  let written = 0;
  const write = async (_path: string, bytes: Uint8Array): Promise<void> => {
    written += bytes.length;
    stop.abort(new Error("enough"));
    await Promise.resolve();
  };
  const { signal } = stop;
  await assertRejects(
    () => packModel({ model, precision: "int8", write, signal }),
    Error,
    "enough",
  );
  assert(written < 20_000); // the header
  await model.close();
});

async function pack(
  location: ModelLocation,
  precision: PackTask["precision"],
): Promise<Map<string, Uint8Array>> {
  const model = await openModel(location);
  try {
    const parts = new Map<string, Uint8Array[]>();
    const write = async (path: string, bytes: Uint8Array): Promise<void> => {
      const of = parts.get(path) ?? [];
      of.push(await Promise.resolve(bytes));
      parts.set(path, of);
    };
    const { bytes } = await packModel({ model, precision, write });
    const files = new Map([...parts].map(([path, of]) => [path, joinBytes(of)]));
    assertEquals(files.values().reduce((sum, { length }) => sum + length, 0), bytes);
    return files;
  } finally {
    await model.close();
  }
}

async function draw(model: ModelLocation, weights?: WeightPrecision): Promise<{
  readonly latents: Float32Array;
  readonly fingerprint: string;
  readonly precision: string;
}> {
  const pipeline = await openEngine({ model, backend: "wasm", ...(weights && { weights }) });
  try {
    const conditions = pipeline.model.classes === 0 ? await fluxConditions() : {};
    const options = { ...conditions, labels: [1, 2], seed: 8, steps: 2 };
    const { latents } = await pipeline.generate(options);
    const fingerprint = await pipeline.model.fingerprint();
    return { latents: latents.data, fingerprint, precision: pipeline.precision.weights };
  } finally {
    await pipeline.close();
  }
}

/** Layers of modules, which are rounded as they are loaded. */
const MODULE_LAYER = /^(?!.*norm).*blocks\.\d+\.(?!.*(?:modulation|norm)).*weight$/;

/** The source under its own numbers where layers are rounded at load, and under the packed file's elsewhere. */
async function withOthersOf(
  packed: ReadonlyMap<string, Uint8Array>,
  location: ModelLocation,
): Promise<ReadonlyMap<string, Uint8Array>> {
  const [source, model] = [await openModel(location), await openModel(packed)];
  const tensors = new Map<string, Tensor>();
  for (const name of model.weights.names) {
    const { weights } = MODULE_LAYER.test(name) ? source : model;
    tensors.set(name, await weights.read(name));
  }
  for (const { close } of [source, model]) await close();
  return plainFiles(packed, tensors);
}

/** What a packed model stands for, in float32. */
async function plainCopy(
  packed: ReadonlyMap<string, Uint8Array>,
): Promise<ReadonlyMap<string, Uint8Array>> {
  const model = await openModel(packed);
  const tensors = new Map<string, Tensor>();
  for (const name of model.weights.names) tensors.set(name, await model.weights.read(name));
  await model.close();
  return plainFiles(packed, tensors);
}

function plainFiles(
  packed: ReadonlyMap<string, Uint8Array>,
  tensors: ReadonlyMap<string, Tensor>,
): ReadonlyMap<string, Uint8Array> {
  const hashes = [...tensors].map(([name, tensor]) => {
    return [name, bytesToHex(sha256(encodeNumbers(tensor)))] as const;
  });
  const files = withManifest(packed, { weights: undefined, sha256: Object.fromEntries(hashes) });
  return files.set("weights.safetensors", joinBytes([...encodeSafetensors(tensors)]));
}

function withManifest(
  packed: ReadonlyMap<string, Uint8Array>,
  change: Readonly<Record<string, unknown>>,
): Map<string, Uint8Array> {
  const json: object = JSON.parse(new TextDecoder().decode(packed.get("model.json")));
  const text = JSON.stringify({ ...json, ...change });
  return new Map(packed).set("model.json", new TextEncoder().encode(text));
}
