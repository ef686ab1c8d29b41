/**
 * How a model takes prompts: its text encoders, their tokenizers, and what becomes of their results.
 *
 * A family says it as a recipe; the folders of a directory are opened when the first prompt is encoded, for on a hub
 * they may be most of the download.
 */

import type { ModelDirectory } from "../assets/model_dir.ts";
import type { Source } from "../assets/source.ts";
import { AssetError } from "../errors.ts";
import type { EncodedText, TextOutput } from "../text/network.ts";
import { type OpenedEncoder, openEncoder } from "../text/open_encoder.ts";
import { openTokenizer, type PromptTokenizer } from "../text/tokenizer.ts";
import type { Conditions } from "./scene.ts";

/** One encoder of a family's recipe. */
export interface TextPartRecipe {
  /** What it is called in words, such as `CLIP`. */
  readonly title: string;
  /** Folder of the encoder in diffusers' layout, such as `text_encoder_2`. */
  readonly folder: string;
  /** Folder of its tokenizer. */
  readonly tokenizer: string;
  /** Which text of a prompt it reads; the first, where there is no second. */
  readonly reads: "prompt" | "prompt2";
  /** What is taken of it. */
  readonly outputs: readonly TextOutput[];
  /** Width of that, as the transformer takes it. */
  readonly width: number;
  /** Tokens that it is given; absent = as many as its tokenizer says. */
  readonly length?: number;
  /** Whether tokens look at pads, as the pipeline that the model was trained for has it. */
  readonly pads: "seen" | "hidden";
}

/** How a family makes conditions of prompts. */
export interface TextRecipe {
  readonly parts: readonly TextPartRecipe[];
  /** Conditions with one row, of what each part made of one text. */
  conditions(encoded: readonly EncodedText[]): Conditions;
}

/** A text encoder with its tokenizer. */
export interface TextPart extends TextPartRecipe, OpenedEncoder {
  readonly prompts: PromptTokenizer;
}

/** The prompts of an opened model. */
export interface ModelText extends Pick<TextRecipe, "conditions"> {
  /**
   * Opens encoders and tokenizers, once; headers of weights are read, and no more.
   *
   * @throws {AssetError} When one is missing, not of a kind that we compute, or does not fit the transformer.
   */
  open(): Promise<readonly TextPart[]>;
}

/**
 * The prompts of a model's directory; `undefined` where it has none of the encoders.
 */
export async function findText(
  directory: ModelDirectory,
  recipe: TextRecipe,
): Promise<ModelText | undefined> {
  const folders = recipe.parts.map(({ folder }) => directory.openFolder(folder));
  const there = await Promise.all(folders.map((folder) => hasConfig(folder)));
  if (!there.includes(true)) return undefined;
  let opening: Promise<readonly TextPart[]> | undefined;
  return {
    conditions: recipe.conditions,
    open(): Promise<readonly TextPart[]> {
      opening ??= openParts(directory, recipe).catch((error) => {
        opening = undefined; // a network may be there the next time
        throw error;
      });
      return opening;
    },
  };
}

async function hasConfig(folder: Source | undefined): Promise<boolean> {
  return await folder?.size("config.json") !== undefined;
}

async function openParts(
  directory: ModelDirectory,
  { parts }: TextRecipe,
): Promise<readonly TextPart[]> {
  const opened: TextPart[] = [];
  for (const part of parts) opened.push(await openPart(directory, part));
  return opened;
}

async function openPart(directory: ModelDirectory, recipe: TextPartRecipe): Promise<TextPart> {
  const { folder, tokenizer, width, length = Infinity } = recipe;
  const stored = await directory.openPart(folder);
  const files = directory.openFolder(tokenizer);
  if (stored === undefined || files === undefined) {
    throw new AssetError(
      `Cannot encode prompts with ${directory.name}: it must have ${folder} and ${tokenizer}`,
    );
  }
  const encoder = openEncoder(stored, `${folder} in ${directory.name}`);
  const { network: { vocabularySize: vocabulary, positions = Infinity, ...network } } = encoder;
  if (network.width !== width) {
    throw new AssetError(
      `Cannot encode prompts with ${directory.name}: its ${folder} must be ${width} wide, as the ` +
        `transformer takes it: current value is ${network.width}`,
    );
  }
  const prompts = await openTokenizer(files, { vocabulary, length: Math.min(length, positions) });
  return { ...recipe, ...encoder, prompts };
}
