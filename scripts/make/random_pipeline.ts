/**
 * Writes a diffusers pipeline directory with the geometry of a published DiT and random float16 weights, for
 * measuring what does not depend on the numbers: transformer in shards, autoencoder, scheduler, labels.
 *
 *     deno run --allow-write scripts/make/random_pipeline.ts DiT-XL/2 /tmp/xl-pipeline
 */
import { mkdir, writeFile } from "node:fs/promises";
import { embedderCopies, joinsOf } from "../../src/model/dit/diffusers.ts";
import type { DitConfig } from "../../src/model/dit/config.ts";
import { ditTensors } from "../../src/model/dit/dit.ts";
import { describeVae, vaeTensors } from "../../src/model/vae/vae.ts";
import { parseVaeConfig } from "../../src/model/vae/config.ts";
import { elementCount } from "../../src/tensor/tensor.ts";
import { writeRandomFile } from "./random_file.ts";
import { PUBLISHED_VAE, publishedConfig } from "./random_weights.ts";

type Shapes = ReadonlyMap<string, readonly number[]>;

/** Bytes of a shard; the published ones have 10 GB, of which a DiT would not fill one. */
const SHARD_BYTES = 500e6;
const WEIGHTS = "diffusion_pytorch_model";

const [size = "DiT-XL/2", folder = "random-pipeline"] = Deno.args;
const config = publishedConfig(size);
for (const part of ["transformer", "vae", "scheduler"]) {
  await mkdir(`${folder}/${part}`, { recursive: true });
}
await writeJson("model_index.json", {
  _class_name: "DiTPipeline",
  id2label: Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [i, `class ${i}`])),
  scheduler: ["diffusers", "DDIMScheduler"],
  transformer: ["diffusers", "Transformer2DModel"],
  vae: ["diffusers", "AutoencoderKL"],
});
await writeJson("scheduler/scheduler_config.json", {
  _class_name: "DDIMScheduler",
  clip_sample: false,
});
await writeJson("transformer/config.json", {
  _class_name: "Transformer2DModel",
  attention_head_dim: config.hiddenSize / config.numHeads,
  num_attention_heads: config.numHeads,
  num_layers: config.depth,
  in_channels: config.inChannels,
  out_channels: 2 * config.inChannels,
  patch_size: config.patchSize,
  sample_size: config.inputSize,
});
await writeJson("vae/config.json", PUBLISHED_VAE);
await writeShards(diffusersTensors(config));
const vae = vaeTensors(describeVae(parseVaeConfig(PUBLISHED_VAE)));
await writeRandomFile(`${folder}/vae/${WEIGHTS}.safetensors`, vae);

function diffusersTensors(config: DitConfig): Shapes {
  const official = ditTensors(config);
  const shapes = new Map<string, readonly number[]>();
  for (const [name, parts] of joinsOf(config)) {
    const [rows = 0, ...rest] = official.get(name)!; // both are made of this configuration
    for (const part of parts) shapes.set(part, [rows / parts.length, ...rest]);
  }
  for (const [first, ...others] of embedderCopies(config)) {
    for (const other of others) shapes.set(other, shapes.get(first!)!); // the first is the one in use
  }
  return shapes;
}

async function writeShards(shapes: Shapes): Promise<void> {
  const shards: Map<string, readonly number[]>[] = [];
  let bytes = Infinity;
  for (const [name, dims] of shapes) {
    if (bytes >= SHARD_BYTES) {
      shards.push(new Map());
      bytes = 0;
    }
    shards.at(-1)!.set(name, dims); // just made, if there was none
    bytes += 2 * elementCount(dims);
  }
  const places: Record<string, string> = {};
  for (const [i, shard] of shards.entries()) {
    const number = (n: number): string => `${n}`.padStart(5, "0");
    const file = `${WEIGHTS}-${number(i + 1)}-of-${number(shards.length)}.safetensors`;
    for (const name of shard.keys()) places[name] = file;
    await writeRandomFile(`${folder}/transformer/${file}`, shard);
  }
  await writeJson(`transformer/${WEIGHTS}.safetensors.index.json`, { weight_map: places });
}

async function writeJson(path: string, json: unknown): Promise<void> {
  await writeFile(`${folder}/${path}`, JSON.stringify(json));
}
