import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import { ownWeights } from "../../../src/assets/formats/own_weights.ts";
import { openSafetensors } from "../../../src/assets/formats/safetensors.ts";
import { openDirectory } from "../../../src/assets/source.ts";
import type { WritableTensor } from "../../../src/assets/formats/safetensors_writer.ts";
import type { StoredWeights } from "../../../src/assets/weights.ts";
import { estimateMemory } from "../../../src/engine/memory/report.ts";
import { AssetError } from "../../../src/errors.ts";
import { openModel } from "../../../src/model/open_model.ts";
import { file, ramp } from "../files.ts";
import { checkpoint, type CheckpointTensor } from "./zips.ts";

const OFFICIAL = new URL("../../golden/dit-a/", import.meta.url);
const CONFIG = await Deno.readFile(new URL("config.json", OFFICIAL));
const TENSORS = await officialTensors();

async function officialTensors(): Promise<Readonly<Record<string, WritableTensor>>> {
  const source = openDirectory(OFFICIAL);
  const stored = await openSafetensors(source, "weights.safetensors");
  const tensors: Record<string, WritableTensor> = {};
  for (const name of stored.tensors.keys()) {
    tensors[name] = { dtype: "F16", ...await stored.readFloat32(name) };
  }
  await source.close();
  return tensors;
}

/** A folder of the official model whose tensors go by other names, beside others. */
function renamed(
  rename: (name: string) => string,
  others: Readonly<Record<string, WritableTensor>> = {},
): ReadonlyMap<string, Uint8Array> {
  const tensors = Object.entries(TENSORS).map(([name, tensor]) => [rename(name), tensor] as const);
  return new Map([
    ["config.json", CONFIG],
    ["model.safetensors", file({ ...others, ...Object.fromEntries(tensors) })],
  ]);
}

const INTEGERS: WritableTensor = { dtype: "I64", dims: [2], data: [0, 1] };

const WRAPPED: Readonly<Record<string, ReadonlyMap<string, Uint8Array>>> = {
  "a compiled model": renamed((name) => `_orig_mod.${name}`),
  "compiled blocks": renamed((name) => name.replace(/^(blocks\.\d+)\./, "$1._orig_mod.")),
  "a model trained on several devices": renamed((name) => `module.${name}`),
  "a compiled model trained on several devices": renamed((name) => `module._orig_mod.${name}`),
  "a checkpoint of several models, as ComfyUI's": renamed(
    (name) => `model.diffusion_model.${name}`,
    { "vae.post_quant_conv.bias": { dims: [4], data: ramp(4) }, "text.position_ids": INTEGERS },
  ),
};

for (const [what, files] of Object.entries(WRAPPED)) {
  Deno.test(`${what} opens, and is the model that it wraps: tensors, fingerprint`, async () => {
    const [official, wrapped] = [await openModel(OFFICIAL), await openModel(files)];
    assertEquals([...wrapped.weights.names].sort(), [...official.weights.names].sort());
    assertEquals(await wrapped.fingerprint(), await official.fingerprint());
    for (const name of official.weights.names) {
      assertEquals(await wrapped.weights.read(name), await official.weights.read(name));
    }
    await official.close();
  });
}

/** Weights of which only the names and types are asked. */
function named(names: readonly string[], dtype = "F32"): StoredWeights {
  return {
    names: new Set(names),
    dims: () => [1],
    dtype: () => dtype,
    read: (name) => Promise.resolve({ dims: [1], data: Float32Array.of(names.indexOf(name)) }),
    sample: (name) => Promise.resolve(Float32Array.of(names.indexOf(name))),
  };
}

Deno.test("ownWeights() finds every name in any wrapping, and reads what it stands for", async () => {
  const part = fc.constantFrom("blocks", "0", "attn", "weight", "modules", "my_orig_mod");
  const name = fc.array(part, { minLength: 1, maxLength: 5 }).map((parts) => parts.join("."));
  const wrapping = fc.constantFrom(
    ...["", "_orig_mod.", "module.", "model.diffusion_model.", "model.diffusion_model._orig_mod."],
  );
  const names = fc.uniqueArray(name, { minLength: 1, maxLength: 8 });
  await fc.assert(fc.asyncProperty(names, wrapping, async (own, wrapping) => {
    const weights = ownWeights(named(own.map((name) => wrapping + name)));
    assertEquals([...weights.names], own);
    for (const [i, name] of own.entries()) {
      assertEquals((await weights.read(name)).data, Float32Array.of(i));
      assertEquals(await weights.sample(name, [0]), Float32Array.of(i));
    }
  }));
});

Deno.test("ownWeights() refuses two tensors of one name, and integers, by name", () => {
  assertThrows(
    () => ownWeights(named(["x", "_orig_mod.x"])),
    AssetError,
    "Cannot use weights: x must be there once: current value is x and _orig_mod.x",
  );
  assertThrows(
    () => ownWeights(named(["x"], "I8")),
    AssetError,
    "Cannot read x: its dtype must be one of F64, F32, F16, BF16, F8_E4M3, F8_E5M2: " +
      "current value is I8",
  );
});

Deno.test("a FLUX under its original's names opens from PyTorch's file as from safetensors", async () => {
  const folder = new URL("../../golden/flux-a-bfl/", import.meta.url);
  const source = openDirectory(folder);
  const stored = await openSafetensors(source, "flux.safetensors");
  const tensors = new Map<string, CheckpointTensor>();
  for (const name of stored.tensors.keys()) {
    const { dims, data } = await stored.readFloat32(name);
    const bytes = new Uint8Array(data.buffer);
    tensors.set(name, { storage: "FloatStorage", dims, bytes, width: 4 });
  }
  await source.close();
  const config = await Deno.readFile(new URL("config.json", folder));
  const files = new Map([["config.json", config], ["flux.pt", checkpoint(tensors)]]);
  const [safe, torch] = [await openModel(folder), await openModel(files)];
  assertEquals(await torch.fingerprint(), await safe.fingerprint());
  await safe.close();
});

/** The file with the numbers of every matrix as one byte each, of a type of that width. */
function inBytes(dtype: string): ReadonlyMap<string, Uint8Array> {
  const entries = Object.entries(TENSORS);
  let size = 0;
  const header = entries.map(([name, { dims, data }]) => {
    const data_offsets = [size, size += data.length];
    return [name, { dtype, shape: dims, data_offsets }] as const;
  });
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(header)));
  const bytes = new Uint8Array(8 + json.length + size).fill(0x38); // 1 in F8_E4M3
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  return new Map([["config.json", CONFIG], ["model.safetensors", bytes]]);
}

Deno.test("weights of one byte are expanded: 0x38 is 1 in F8_E4M3, 0.5 in F8_E5M2", async () => {
  for (const [dtype, number] of [["F8_E4M3", 1], ["F8_E5M2", 0.5]] as const) {
    const model = await openModel(inBytes(dtype));
    const { dims, data } = await model.weights.read("blocks.0.attn.proj.weight");
    assertEquals([dims, data.every((x) => x === number)], [[48, 48], true]);
    assertEquals(await model.weights.sample("final_layer.linear.bias", [3]), data.slice(0, 1));
  }
});

Deno.test("what takes memory is told of weights that open, and of no others", async () => {
  const expanded = await estimateMemory({ model: inBytes("F8_E4M3") });
  assertEquals(expanded.needs, (await estimateMemory({ model: OFFICIAL })).needs);
  await assertRejects(
    () => estimateMemory({ model: inBytes("I8") }),
    AssetError,
    "its dtype must be one of",
  );
});

Deno.test("positions that old versions of transformers saved as integers are no weights", () => {
  const types: Readonly<Record<string, string>> = {
    "text_model.embeddings.position_ids": "I64",
    "position_ids": "I64",
    "embeddings.position_embedding.weight": "F16",
  };
  const weights = ownWeights({
    names: new Set(Object.keys(types)),
    dims: () => [2],
    dtype: (name) => types[name],
    read: () => Promise.reject(new Error("not asked for")),
    sample: () => Promise.reject(new Error("not asked for")),
  });
  assertEquals([...weights.names], ["embeddings.position_embedding.weight"]);
  assertEquals(weights.dims("position_ids"), undefined);
});
