/** A FLUX pipeline directory of made-up weights with text encoders, as published ones are laid out. */
import { openDirectory } from "../../../src/assets/source.ts";
import { randomTensors, SMALL_FLUX } from "../../model/flux/small_flux.ts";
import { encodeSafetensors } from "../../../src/assets/formats/safetensors_writer.ts";
import { joinBytes } from "../../../src/tensor/bytes.ts";
import { SMALL } from "../../text/folder.ts";

const GOLDEN = new URL("../../golden/", import.meta.url);
const WEIGHTS = "diffusion_pytorch_model.safetensors";
/** Encoders are those of transformers' goldens, 48 wide. */
const COPIED: Readonly<Record<string, string>> = {
  "text_encoder/config.json": "text/clip-l/config.json",
  "text_encoder/model.safetensors": "text/clip-l/model.safetensors",
  "text_encoder_2/config.json": "text/t5-v1.1/config.json",
  "text_encoder_2/model.safetensors": "text/t5-v1.1/model.safetensors",
  "scheduler/scheduler_config.json": "flux-a/scheduler_config.json",
  "vae/config.json": "dit-a-diffusers/vae/config.json",
  [`vae/${WEIGHTS}`]: `dit-a-diffusers/vae/${WEIGHTS}`,
};
/** Configuration of its transformer. */
export const TRANSFORMER: typeof SMALL_FLUX = {
  ...SMALL_FLUX,
  in_channels: 16,
  joint_attention_dim: 48,
  pooled_projection_dim: 48,
};
const LETTERS = [..."abcdefghijklmnopqrstuvwxyz"];

const JSON_FILES: Readonly<Record<string, unknown>> = {
  "model_index.json": {
    _class_name: "FluxPipeline",
    scheduler: ["diffusers", "FlowMatchEulerDiscreteScheduler"],
    text_encoder: ["transformers", "CLIPTextModel"],
    text_encoder_2: ["transformers", "T5EncoderModel"],
    tokenizer: ["transformers", "CLIPTokenizer"],
    tokenizer_2: ["transformers", "T5TokenizerFast"],
    transformer: ["diffusers", "FluxTransformer2DModel"],
    vae: ["diffusers", "AutoencoderKL"],
  },
  "tokenizer/vocab.json": {
    ...Object.fromEntries(LETTERS.flatMap((c, i) => [[c, 2 * i], [`${c}</w>`, 2 * i + 1]])),
    ...{ "ab": 52, "ab</w>": 53, "<|startoftext|>": 97, "<|endoftext|>": 98 },
  },
  "tokenizer/tokenizer_config.json": { tokenizer_class: "CLIPTokenizer", model_max_length: 16 },
  "tokenizer_2/tokenizer.json": SMALL,
  "tokenizer_2/tokenizer_config.json": { pad_token: "<pad>", model_max_length: 20 },
};

/** Its files by path; `changes` replace JSON files, or take files away where they are `undefined`. */
export async function promptFiles(
  changes: Readonly<Record<string, unknown>> = {},
  config: typeof SMALL_FLUX = TRANSFORMER,
): Promise<Map<string, Uint8Array>> {
  const source = openDirectory(GOLDEN);
  const files = new Map<string, Uint8Array>();
  for (const [path, golden] of Object.entries(COPIED)) {
    const length = (await source.size(golden))!; // it is in the repository
    files.set(path, await source.read(golden, { offset: 0, length }));
  }
  await source.close();
  const tensors = randomTensors(config);
  files.set(`transformer/${WEIGHTS}`, joinBytes([...encodeSafetensors(tensors)]));
  files.set("tokenizer/merges.txt", new TextEncoder().encode("#version: 0.2\na b\na b</w>\n"));
  for (
    const [path, json] of Object.entries({
      ...JSON_FILES,
      "transformer/config.json": config,
      ...changes,
    })
  ) {
    if (json === undefined) files.delete(path);
    else files.set(path, new TextEncoder().encode(JSON.stringify(json)));
  }
  return files;
}

/** `model_index.json` without some of its parts. */
export function indexWithout(...parts: readonly string[]): unknown {
  const entries = Object.entries(JSON_FILES["model_index.json"] as object);
  return Object.fromEntries(entries.filter(([name]) => !parts.includes(name)));
}
