/**
 * The options that every command with a model has, and the pipeline that they ask for.
 */

import { MOST_THREADS } from "../backend/platform.ts";
import { type Engine, type EngineOptions, openEngine } from "../engine/engine.ts";
import { PRECISIONS, PRODUCT_PRECISIONS } from "../engine/precision/rounded_layers.ts";
import { EMBEDDED_ID } from "../engine/embedded_model.ts";
import { withDownloads } from "./download_progress.ts";
import type { Output } from "./output.ts";
import { choice, text, whole } from "./option_readers.ts";
import { option, type OptionValues } from "./options.ts";

export const MODEL = option(
  text("a directory, a file or a URL"),
  "DIR|FILE|URL  model or diffusers directory, .safetensors or .pt of a DiT or FLUX, " +
    `hf://OWNER/NAME, or cached+URL (the embedded ${EMBEDDED_ID})`,
);

export const WEIGHTS_OPTION = option(
  choice(PRECISIONS),
  "P  precision of weights: f32, int8 or int4 (f32, or as the model was packed)",
);

const BACKENDS = ["auto", "webgpu", "native", "wasm"] as const;

export const MODEL_OPTIONS = {
  model: MODEL,
  sampler: option(
    text("original, or the name of a solver", (word) => /^[a-z][\w:-]*$/.test(word)),
    "NAME[:SPACING]  solver and how its times are spread, or original: as the model's authors sample " +
      "(as its scheduler_config.json says)",
  ),
  backend: option(choice(BACKENDS), "NAME  auto, webgpu, native or wasm", { or: "auto" }),
  threads: option(whole(1, MOST_THREADS), "N  threads of wasm and native (all cores)"),
  weights: WEIGHTS_OPTION,
  precision: option(
    choice(PRODUCT_PRECISIONS),
    "P  precision of products: f32, or f16 on WebGPU with shader-f16 (f16 on such a GPU, else f32)",
  ),
};

/** What a file of conditions holds. */
export const CONDITIONS_NOTE: string =
  `The safetensors of --conditions hold noise (n,C,H,W) and label (n); for a model of text noise
(n,T,C) packed, text (n,M,W), pooled (n,P) and image_ids (T,axes). Without noise a seed makes it;
with prompts noise alone is enough.`;

/** What a command says of its model. */
export type ModelOptions = OptionValues<typeof MODEL_OPTIONS>;

/** Opens it; the caller closes it. */
export async function openFor(
  command: ModelOptions & Output,
  options: Pick<EngineOptions, "signal" | "onModel">,
): Promise<Engine> {
  return await withDownloads(
    (onDownload) => openEngine({ ...modelOptions(command), ...options, onDownload }),
    command,
  );
}

/** A command's options of its model, and nothing else of it. */
export function modelOptions(
  { backend, model, sampler, threads, weights, precision }: ModelOptions,
): { readonly [K in keyof ModelOptions]: ModelOptions[K] | undefined } {
  return { backend, model, sampler, threads, weights, precision };
}

/** Which model was opened, where, and why there. */
export function openedText({ model, backend, choice }: Engine): string {
  return `${model.id} on ${backend.description}: ${choice.reason}`;
}
