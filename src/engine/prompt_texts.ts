/**
 * The prompts that options ask for, one for each picture, checked.
 */

import type { Model } from "../model/model.ts";
import { wantedLabel } from "./class_names.ts";
import { EMBEDDED_ID, LABELLED } from "./embedded_model.ts";
import type { GenerateOptions } from "./request.ts";

/** What is encoded: one text for all encoders, or another one for the second. */
export interface PromptText {
  /** For every text encoder of the model; an empty one is a prompt like any other. */
  readonly prompt: string;
  /** For the second encoder (of FLUX: T5) instead of `prompt`. */
  readonly prompt2?: string | undefined;
}

/** A prompt with what the picture shall not show. */
export interface PicturePrompt extends PromptText {
  /** Takes effect with true guidance only. */
  readonly negativePrompt?: string | undefined;
}

/** How long a text is to one encoder. */
export interface PromptTokens {
  /** Such as `CLIP` or `T5`. */
  readonly encoder: string;
  /** Tokens of the whole text, those that begin and end it included. */
  readonly tokens: number;
  /** The most that the encoder reads; it leaves the rest out. */
  readonly limit: number;
  /** Of the negative prompt; absent = of the prompt. */
  readonly negative?: true;
}

/** What a request says of prompts, and what does not go with them. */
type PromptOptions = Pick<
  GenerateOptions,
  | ("prompt" | "prompts" | "prompt2" | "negativePrompt" | "negativeConditions")
  | ("label" | "labels" | "text" | "pooled" | "conditions")
>;

/** What prompts depend on of a model. */
export type PromptedModel = Pick<Model, "id" | "classes" | "classNames" | "prompts">;

/**
 * The prompts of a request, in order: the model's examples where it asks for nothing, and none where it gives
 * tensors or labels.
 *
 * @param encodes Whether prompts can be encoded; without, only a model of classes refuses them here.
 * @throws {TypeError} When they are no texts, or labels are given as well.
 * @throws {RangeError} When the model knows classes and no words, or words and no classes, or lists are not of one
 *   length.
 */
export function promptsOf(
  model: PromptedModel,
  options: PromptOptions,
  { encodes }: { readonly encodes: boolean },
): readonly PicturePrompt[] {
  if (model.classes > 0) {
    expectNoPrompts(model, options);
    return [];
  }
  const { text, pooled, conditions: { text: features } = {} } = options;
  const isFree = encodes && (text ?? pooled ?? features) === undefined;
  const { prompt, prompts = prompt === undefined ? undefined : [prompt] } = options;
  if (prompts === undefined && isFree) return examplesOf(model, options);
  expectAlone(options);
  if (prompts === undefined) return [];
  return textsOf(prompts, options);
}

/** What a model draws of itself. */
function examplesOf(model: PromptedModel, options: PromptOptions): readonly PicturePrompt[] {
  const [label = options.label] = options.labels ?? [];
  if (label !== undefined) {
    const classes = model.id === EMBEDDED_ID
      ? ` (${LABELLED} has classes: --model ${LABELLED})`
      : "";
    throw new RangeError(
      `Cannot generate: ${model.id} knows words and no classes${classes}; prompt instead of label must be ` +
        `such as ${JSON.stringify(`${label}`)}: current value is ${label}`,
    );
  }
  if (model.prompts !== undefined) return textsOf(model.prompts.examples, options);
  expectAlone(options);
  throw new RangeError(
    `Cannot generate: prompt must be given to ${model.id}: current value is none`,
  );
}

function textsOf(prompts: readonly string[], options: PromptOptions): readonly PicturePrompt[] {
  if (prompts.length === 0) {
    throw new RangeError("Cannot generate: prompts must be one or more: current value is none");
  }
  const second = oneForEach("prompt2", options.prompt2, prompts.length);
  const negative = oneForEach("negativePrompt", options.negativePrompt, prompts.length);
  return prompts.map((prompt, i) => ({
    prompt: checked("prompt", prompt),
    ...(second && { prompt2: checked("prompt2", second[i]) }),
    ...(negative && { negativePrompt: checked("negativePrompt", negative[i]) }),
  }));
}

/** A model of classes takes their names; a prompt is answered with the nearest. */
function expectNoPrompts(
  { id, ...classes }: PromptedModel,
  { prompt, prompts = [], negativePrompt, negativeConditions }: PromptOptions,
): void {
  const [text = prompt] = prompts;
  if (text !== undefined) {
    throw new RangeError(
      `Cannot generate: ${id} knows classes and no words; label instead of prompt must be ` +
        `${wantedLabel(text, classes)}: current value is ${quoted(text, SHOWN)}`,
    );
  }
  if (negativePrompt === undefined && negativeConditions === undefined) return;
  throw new RangeError(
    `Cannot generate: ${id} knows classes and no words, so nothing negative must be given`,
  );
}

/** Letters of a prompt that a message repeats. */
const SHOWN = 200;

/** A text as a line can show it: quoted, no more than so many letters of it, and none of them halved. */
export function quoted(text: string, most: number): string {
  if (text.length <= most) return JSON.stringify(text);
  const begin = text.slice(0, most).replace(/[\ud800-\udbff]$/, "");
  return JSON.stringify(`${begin}…`);
}

/** Refuses what does not go together. */
function expectAlone(options: PromptOptions): void {
  const { prompt, prompts } = options;
  const isPrompted = prompt !== undefined || prompts !== undefined;
  for (const name of ["prompt2", "negativePrompt"] as const) {
    if (isPrompted || options[name] === undefined) continue;
    throw new TypeError(`Cannot generate: ${name} must be given together with prompt`);
  }
  for (const name of ["prompt", "label", "labels"] as const) {
    if (options[name] === undefined || (name === "prompt" ? prompts === undefined : !isPrompted)) {
      continue;
    }
    const other = prompts === undefined ? "prompt" : "prompts";
    throw new TypeError(`Cannot generate: ${name} must not be given together with ${other}`);
  }
}

/** A text that counts for all prompts, or a list with one for each. */
function oneForEach(
  name: string,
  given: string | readonly string[] | undefined,
  prompts: number,
): readonly string[] | undefined {
  if (given === undefined) return undefined;
  if (typeof given === "string") return Array.from({ length: prompts }, () => given);
  if (given.length === prompts) return given;
  throw new RangeError(
    `Cannot generate: ${name} must be one text or ${prompts}, one for each prompt: ` +
      `current value is ${given.length}`,
  );
}

/** A text that every encoder can take: half of a surrogate pair is no character, and UTF-8 cannot write it. */
function checked(name: string, text: unknown): string {
  if (typeof text === "string" && text.isWellFormed()) return text;
  const value = typeof text === "string" ? "half of a surrogate pair" : JSON.stringify(text);
  throw new TypeError(
    `Cannot generate: ${name} must be a text of whole characters: current value is ${value}`,
  );
}
