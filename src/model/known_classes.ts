/**
 * Models of the field that are not supported, by the names of their classes, so that one that cannot be
 * opened is named as what it is.
 *
 * @module
 */

import { describe, textAt } from "../assets/json.ts";
import { AssetError } from "../errors.ts";
import { FAMILIES } from "./families.ts";

/** A kind of model that we know by name alone. */
interface KnownKind {
  /** As its authors call it. */
  readonly title: string;
  /** Its classes in diffusers, pipelines and transformers alike. */
  readonly classes: RegExp;
  /** Names of tensors that no other kind has, where a file comes without a configuration. */
  readonly tensors?: RegExp;
}

/** The first match counts. *Source:* class names of diffusers; tensor names of the published files. */
const UNSUPPORTED: readonly KnownKind[] = [
  { title: "FLUX.2", classes: /^Flux2/, tensors: /^double_stream_modulation_img\./ },
  { title: "Chroma", classes: /^Chroma/, tensors: /^distilled_guidance_layer\./ },
  { title: "PixArt", classes: /^PixArt/ },
  {
    title: "Stable Diffusion 3",
    classes: /^(SD3|StableDiffusion3)/,
    tensors: /^joint_blocks\.0\./,
  },
  { title: "Stable Diffusion XL", classes: /^StableDiffusionXL/, tensors: /^label_emb\.0\.0\./ },
  {
    title: "Stable Diffusion",
    classes: /^(StableDiffusion|UNet2DCondition)/,
    tensors: /^(input_blocks\.0\.0|down_blocks\.0\.resnets\.0)\./,
  },
  { title: "Wan", classes: /^Wan/, tensors: /^text_embedding\.0\./ },
  {
    title: "HunyuanVideo",
    classes: /^HunyuanVideo/,
    tensors: /^txt_in\.individual_token_refiner\./,
  },
  { title: "Hunyuan-DiT", classes: /^HunyuanDiT/, tensors: /^text_embedding_padding$/ },
  { title: "HunyuanImage", classes: /^HunyuanImage/ },
  { title: "Sana", classes: /^Sana/ },
  { title: "Lumina", classes: /^Lumina/ },
  { title: "AuraFlow", classes: /^AuraFlow/, tensors: /^double_layers\.0\./ },
  { title: "CogVideoX", classes: /^CogVideoX/ },
  { title: "CogView", classes: /^CogView/ },
  {
    title: "Qwen-Image",
    classes: /^QwenImage/,
    tensors: /^transformer_blocks\.0\.img_mod\./,
  },
  { title: "Z-Image", classes: /^ZImage/ },
  { title: "HiDream", classes: /^HiDream/ },
  { title: "LTX-Video", classes: /^LTX/ },
  { title: "Mochi", classes: /^Mochi/ },
  { title: "Latte", classes: /^Latte/ },
  { title: "Allegro", classes: /^Allegro/ },
  { title: "Cosmos", classes: /^Cosmos/ },
  { title: "OmniGen", classes: /^OmniGen/ },
  { title: "Kandinsky", classes: /^Kandinsky/ },
  { title: "Stable Cascade", classes: /^(StableCascade|Wuerstchen)/ },
  { title: "Stable Audio", classes: /^StableAudio/ },
  { title: "a U-Net on pixels", classes: /^(UNet2DModel|DDPM|DDIM)/ },
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
    const kind = found === undefined ? undefined : kindOf(({ classes }) => classes.test(found));
    if (kind !== undefined) refuse(name, `${kind.title} (class ${found})`);
  }
  // Pipelines of a supported transformer go by many names; it alone decides.
  const found = model ?? pipeline;
  if (found !== undefined && !isSupported(found)) refuse(name, `class ${describe(found)}`);
}

/**
 * Refuses tensors that only a model has that we do not compute.
 *
 * @throws {AssetError} Saying what the model is, and what is supported.
 */
export function expectSupportedTensors(names: Iterable<string>, name: string): void {
  const all = [...names];
  const kind = kindOf(({ tensors }) => tensors !== undefined && all.some((n) => tensors.test(n)));
  if (kind !== undefined) refuse(name, `${kind.title}, as its tensors are called,`);
}

function kindOf(matches: (kind: KnownKind) => boolean): KnownKind | undefined {
  return UNSUPPORTED.find(matches);
}

function isSupported(className: string): boolean {
  return FAMILIES.some(({ classes }) => classes.includes(className));
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
