/** A packed model is its source, rounded as it is loaded, and nothing else. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import type { Manifest } from "../../src/assets/manifest.ts";
import type { ModelLocation } from "../../src/assets/location.ts";
import { PACKED_PRECISIONS, packModel, type PackTask } from "../../src/engine/pack.ts";
import { FASHION_DIT } from "../fashion_dit.ts";
import { openEngine } from "../../src/engine/engine.ts";
import type { WeightPrecision } from "../../src/engine/precision/rounded_layers.ts";
import { AssetError } from "../../src/errors.ts";
import { openModel } from "../../src/model/open_model.ts";
import { decodeFloat16, encodeFloat16 } from "../../src/tensor/half.ts";
import { elementCount } from "../../src/tensor/tensor.ts";
import { joinBytes } from "../../src/tensor/bytes.ts";
import { fluxConditions } from "./pipeline_files.ts";

const DIT_A = new URL("../golden/dit-a/", import.meta.url);
const FLUX_A = new URL("../golden/flux-a/", import.meta.url);
const FLUX_A_BFL = new URL("../golden/flux-a-bfl/", import.meta.url);

Deno.test("a packed model gives the bits of its source rounded at load, and has its fingerprint", async () => {
  for (const precision of ["int8", "int4"] as const) {
    const packed = await pack(DIT_A, precision);
    const [atLoad, opened] = [await draw(DIT_A, precision), await draw(packed)];
    assertEquals(opened, { ...atLoad, precision });
    const anew = await draw(packed, precision); // said as well as packed
    assertEquals(anew.latents, atLoad.latents);
  }
});

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
  const model = await openModel(DIT_A);
  const counts = [...model.weights.names].map((name) =>
    [name, elementCount(model.weights.dims(name)!)] as const
  );
  const layers = counts.filter(([name]) => /^blocks.*(attn|mlp).*weight$/.test(name));
  const sum = (list: readonly (readonly [string, number])[]): number =>
    list.reduce((total, [, count]) => total + count, 0);
  await model.close();
  const size = async (precision: PackTask["precision"]): Promise<number> =>
    (await pack(DIT_A, precision)).get("weights.safetensors")!.length;
  const within = (actual: number, least: number): void =>
    assert(actual >= least && actual < least + 16_384, `${actual} and ${least}`); // a header and scales
  within(await size("f16"), 2 * sum(counts));
  within(await size("int8"), 2 * (sum(counts) - sum(layers)) + sum(layers)); // the source is float16
});

Deno.test("fashion-dit's bytes do not grow where float16 loses nothing", async () => {
  const packed = await pack(FASHION_DIT, "int8");
  const source = await Deno.stat(new URL("weights.safetensors", FASHION_DIT));
  assert(packed.get("weights.safetensors")!.length < 0.7 * source.size);
});

Deno.test("a packed model in another precision, or packed twice, is refused", async () => {
  const packed = await pack(DIT_A, "int8");
  for (const weights of ["f32", "int4"] as const) {
    const opening = () => openEngine({ model: packed, backend: "wasm", weights });
    const error = await assertRejects(opening, AssetError);
    assertStringIncludes(
      error.message,
      `weights must be int8, as it was packed: current value is ${weights}`,
    );
  }
  for (const precision of PACKED_PRECISIONS) {
    await assertRejects(() => pack(packed, precision), AssetError, "its weights must be floats");
  }
});

for (const [names, location] of [["diffusers'", FLUX_A], ["the original's", FLUX_A_BFL]] as const) {
  Deno.test(`a packed FLUX gives the bits of its source rounded at load, under ${names} names`, async () => {
    for (const precision of ["int8", "int4"] as const) {
      const packed = await pack(location, precision);
      const [atLoad, opened] = [await draw(location, precision), await draw(packed)];
      assertEquals(opened, { ...atLoad, precision });
    }
  });

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
  const write = async (bytes: Uint8Array): Promise<void> => {
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
    const parts: Uint8Array[] = [];
    const write = async (bytes: Uint8Array): Promise<void> =>
      void parts.push(await Promise.resolve(bytes));
    const { manifest, bytes } = await packModel({ model, precision, write });
    const weights = joinBytes(parts);
    assertEquals(weights.length, bytes);
    const json = new TextEncoder().encode(manifest);
    return new Map([["model.json", json], ["weights.safetensors", weights]]);
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
