/** Golden diffusers pipelines as files in memory, to be changed by tests. */

import { openSafetensors } from "../../src/assets/formats/safetensors.ts";
import { encodeSafetensors } from "../../src/assets/formats/safetensors_writer.ts";
import { openDirectory, openMemory } from "../../src/assets/source.ts";
import type { ConditionOptions } from "../../src/engine/request.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { joinBytes } from "../../src/tensor/bytes.ts";
import { checkpoint } from "../assets/formats/zips.ts";

const GOLDEN = new URL("../golden/", import.meta.url);
const WEIGHTS = "diffusion_pytorch_model.safetensors";
const VAE = [
  ["vae/config.json", "dit-a-diffusers/vae/config.json"],
  [`vae/${WEIGHTS}`, `dit-a-diffusers/vae/${WEIGHTS}`],
] as const;
const DIT = [
  ...[
    "model_index.json",
    "scheduler/scheduler_config.json",
    "transformer/config.json",
    `transformer/${WEIGHTS}`,
  ].map((path) => [path, `dit-a-diffusers/${path}`] as const),
  ...VAE,
] as const;
const FLUX = [
  ["scheduler/scheduler_config.json", "flux-a/scheduler_config.json"],
  ["transformer/config.json", "flux-a/config.json"],
  [`transformer/${WEIGHTS}`, `flux-a/${WEIGHTS}`],
  ...VAE,
] as const;

/** JSON files, and what is changed in them. */
export type Changes = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** A DiT's by path; keys of `changes` are set in the JSON files of that name, `undefined` removes one. */
export async function pipelineFiles(changes: Changes = {}): Promise<Map<string, Uint8Array>> {
  const files = await filesOf(DIT);
  for (const [name, change] of Object.entries(changes)) {
    const json: object = JSON.parse(new TextDecoder().decode(files.get(name)));
    files.set(name, bytesOf({ ...json, ...change }));
  }
  return files;
}

/** How the transformer's weights are cut into files. */
export interface ShardLayout {
  /** Name of the index. */
  readonly index: string;
  /** Name of a file, of its number and the number of all. */
  readonly shard: (i: string, n: string) => string;
}

/** As `save_pretrained(variant="fp16", max_shard_size=…)` writes them. */
export const FP16_SHARDS: ShardLayout = {
  index: "diffusion_pytorch_model.safetensors.index.fp16.json",
  shard: (i, n) => `diffusion_pytorch_model.fp16-${i}-of-${n}.safetensors`,
};
/** As `save_pretrained(safe_serialization=False, max_shard_size=…)` writes them. */
export const TORCH_SHARDS: ShardLayout = {
  index: "diffusion_pytorch_model.bin.index.json",
  shard: (i, n) => `diffusion_pytorch_model-${i}-of-${n}.bin`,
};

/** A pipeline's files with the transformer's weights cut into three. */
export async function inShards(
  files: ReadonlyMap<string, Uint8Array>,
  { index, shard }: ShardLayout,
): Promise<Map<string, Uint8Array>> {
  const cut = new Map(files);
  cut.delete(`transformer/${WEIGHTS}`);
  const source = openMemory(files);
  const whole = await openSafetensors(source, `transformer/${WEIGHTS}`);
  const parts = Array.from({ length: 3 }, () => new Map<string, Tensor>());
  const places: Record<string, string> = {};
  let count = 0;
  for (const name of whole.tensors.keys()) {
    const i = count++ % parts.length;
    parts[i]!.set(name, await whole.readFloat32(name)); // below their number
    places[name] = shard(`0000${i + 1}`, "00003");
  }
  for (const [i, tensors] of parts.entries()) {
    const name = shard(`0000${i + 1}`, "00003");
    const torch = [...tensors].map(([name, { dims, data }]) => {
      const bytes = new Uint8Array(data.buffer);
      return [name, { storage: "FloatStorage", dims, bytes, width: 4 }] as const;
    });
    const bytes = name.endsWith(".bin")
      ? checkpoint(new Map(torch))
      : joinBytes([...encodeSafetensors(tensors)]);
    cut.set(`transformer/${name}`, bytes);
  }
  return cut.set(`transformer/${index}`, bytesOf({ metadata: {}, weight_map: places }));
}

/** A FLUX, whose latents have as many channels as the DiT's autoencoder. */
export async function fluxPipelineFiles(): Promise<Map<string, Uint8Array>> {
  return (await filesOf(FLUX)).set(
    "model_index.json",
    bytesOf({
      _class_name: "FluxPipeline",
      transformer: ["diffusers", "FluxTransformer2DModel"],
      vae: ["diffusers", "AutoencoderKL"],
      text_encoder: ["transformers", "CLIPTextModel"],
    }),
  );
}

/** The golden FLUX's conditions: three rows of text, and positions of 6 × 4 tokens. */
export async function fluxConditions(): Promise<ConditionOptions> {
  const source = openDirectory(new URL("flux-a/", GOLDEN));
  const file = await openSafetensors(source, "golden.safetensors");
  const conditions = {
    text: await file.readFloat32("text"),
    pooled: await file.readFloat32("pooled"),
    imageIds: await file.readFloat32("image_ids"),
  };
  await source.close();
  return conditions;
}

async function filesOf(
  paths: readonly (readonly [path: string, from: string])[],
): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for (const [path, from] of paths) files.set(path, await Deno.readFile(new URL(from, GOLDEN)));
  return files;
}

export function bytesOf(json: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(json));
}
