/**
 * Well-known models that are not supported, by the names of their classes, so that the error names the
 * model.
 */

import { describe, textAt } from "../assets/json.ts";
import { AssetError } from "../errors.ts";
import { FAMILIES } from "./families.ts";

/** A kind of model that we know by name alone: its title, its classes, tensors that no other kind has. */
type KnownKind = readonly [title: string, classes: RegExp, tensors?: RegExp];

/** The first match counts. *Source:* class names of diffusers; tensor names of the published files. */
const UNSUPPORTED: readonly KnownKind[] = [
  ["FLUX.2", /^Flux2/, /^double_stream_modulation_img\./],
  ["Chroma", /^Chroma/, /^distilled_guidance_layer\./],
  ["PixArt", /^PixArt/],
  ["Stable Diffusion 3", /^(SD3|StableDiffusion3)/, /^joint_blocks\.0\./],
  ["Stable Diffusion XL", /^StableDiffusionXL/, /^label_emb\.0\.0\./],
  [
    "Stable Diffusion",
    /^(StableDiffusion|UNet2DCondition)/,
    /^(input_blocks\.0\.0|down_blocks\.0\.resnets\.0)\./,
  ],
  ["Wan", /^Wan/, /^text_embedding\.0\./],
  ["HunyuanVideo", /^HunyuanVideo/, /^txt_in\.individual_token_refiner\./],
  ["Hunyuan-DiT", /^HunyuanDiT/, /^text_embedding_padding$/],
  ["HunyuanImage", /^HunyuanImage/],
  ["Sana", /^Sana/],
  ["Lumina", /^Lumina/],
  ["AuraFlow", /^AuraFlow/, /^double_layers\.0\./],
  ["CogVideoX", /^CogVideoX/],
  ["CogView", /^CogView/],
  ["Qwen-Image", /^QwenImage/, /^transformer_blocks\.0\.img_mod\./],
  ["Z-Image", /^ZImage/],
  ["HiDream", /^HiDream/],
  ["LTX-Video", /^LTX/],
  ["Mochi", /^Mochi/],
  ["Latte", /^Latte/],
  ["Allegro", /^Allegro/],
  ["Cosmos", /^Cosmos/],
  ["OmniGen", /^OmniGen/],
  ["Kandinsky", /^Kandinsky/],
  ["Stable Cascade", /^(StableCascade|Wuerstchen)/],
  ["Stable Audio", /^StableAudio/],
  ["a U-Net on pixels", /^(UNet2DModel|DDPM|DDIM)/],
];

/**
 * Refuses a description of a model that we do not compute: a pipeline's `model_index.json` or a
 * `config.json` of a transformer. One that names no class passes; it is told by its keys and tensors.
 *
 * @param name What is opened, for the message.
 * @throws {AssetError} Saying what the model is, and what is supported.
 */
export function expectSupported(description: unknown, name: string): void {
  const { pipeline, model } = classesOf(description);
  for (const found of [pipeline, model]) {
    const kind = UNSUPPORTED.find(([, classes]) => found !== undefined && classes.test(found));
    if (kind !== undefined) refuse(name, `${kind[0]} (class ${found})`);
  }
  // Pipelines of a supported transformer go by many names; it alone decides.
  const found = model ?? pipeline;
  if (found === undefined || FAMILIES.some(({ classes }) => classes.includes(found))) return;
  refuse(name, `class ${describe(found)}`);
}

/**
 * Refuses tensors that only an unsupported model has.
 *
 * @throws {AssetError} Saying what the model is, and what is supported.
 */
export function expectSupportedTensors(names: Iterable<string>, name: string): void {
  const all = [...names];
  const kind = UNSUPPORTED.find(([, , tensors]) => all.some((it) => tensors?.test(it)));
  if (kind !== undefined) refuse(name, `${kind[0]}, as its tensors are called,`);
}

/** The part of a pipeline that predicts the noise, by the names that it goes by. */
const PREDICTORS = ["transformer", "unet", "prior"] as const;

interface Classes {
  readonly pipeline?: string | undefined;
  readonly model?: string | undefined;
}

/** An index names its parts as `[library, class]`; transformers' configurations list `architectures`. */
function classesOf(description: unknown): Classes {
  const own = textAt(description, "_class_name");
  const part = PREDICTORS.map((key) => textAt(description, key, 1)).find((it) => it !== undefined);
  const isIndex = part !== undefined || (own !== undefined && /Pipeline$/.test(own));
  if (isIndex) return { pipeline: own, model: part };
  return { model: own ?? textAt(description, "architectures", 0) };
}

/** What is supported, in words. */
export function supportedText(): string {
  return FAMILIES.map(({ title, classes }) => `${title} (${classes[0]})`).join(", ");
}

function refuse(name: string, what: string): never {
  throw new AssetError(
    `Cannot open ${name}: ${what} is not supported; supported are ${supportedText()}`,
  );
}
