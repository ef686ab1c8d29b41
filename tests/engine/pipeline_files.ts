/** Golden diffusers pipelines as files in memory, to be changed by tests. */

import { openSafetensors } from "../../src/assets/safetensors.ts";
import { openDirectory } from "../../src/assets/source.ts";
import type { TextConditions } from "../../src/model/scene.ts";

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
export async function fluxConditions(): Promise<TextConditions> {
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

function bytesOf(json: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(json));
}
