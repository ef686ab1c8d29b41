/**
 * Prompts of a request: from words to the tensors that a text-conditioned model takes.
 */

import type { Conditions } from "../model/scene.ts";
import { joinRows, sliceRows } from "../tensor/rows.ts";
import {
  type PicturePrompt,
  type PromptedModel,
  promptsOf,
  type PromptText,
  type PromptTokens,
} from "./prompt_texts.ts";
import { idleNotices, lengthNotices } from "./prompt_notices.ts";
import type { PreparingOptions } from "./preparing.ts";
import type { GenerateOptions } from "./request.ts";

/** Texts as a model takes them. */
export interface EncodedPrompts {
  /** By the family's names, such as `text` and `pooled`: a row for each text in every tensor. */
  readonly conditions: Conditions;
  /** How long each text is to each encoder; absent where nothing counts. */
  readonly tokens?: readonly (readonly PromptTokens[])[] | undefined;
}

/** How encoding is watched and stopped. */
export interface EncodeOptions extends PreparingOptions {
  /** Stops before the next graph. */
  readonly signal?: AbortSignal | undefined;
}

/** Encodes texts for a model. One that is given to a pipeline stays the caller's. */
export interface PromptEncoder {
  /** Encodes texts, at least one, that all differ. */
  encode(
    prompts: readonly PromptText[],
    options: EncodeOptions,
  ): Promise<EncodedPrompts>;
}

/** A request whose prompts are replaced by conditions. */
export interface EncodedRequest {
  readonly options: GenerateOptions;
  /** What labels choose from, in words; empty where no prompt was given. */
  readonly prompts: readonly PicturePrompt[];
  /** How long each of them is to each encoder; absent where nothing counts. */
  readonly tokens?: readonly (readonly PromptTokens[])[] | undefined;
  /** A sentence for each text that is too long, and for guidance that has no effect. */
  readonly notices: readonly string[];
}

/**
 * Encodes the prompts that a request's pictures show, each distinct text once. A negative prompt is encoded where true guidance
 * makes use of it, as in diffusers' `FluxPipeline`.
 *
 * @throws {TypeError} When there is no encoder, prompts are no texts, or what they replace is given as well.
 * @throws {RangeError} When the model takes no prompts, or there is not one of them for each picture.
 */
export async function encodePrompts(
  model: PromptedModel,
  options: GenerateOptions,
  encoder: PromptEncoder | undefined,
): Promise<EncodedRequest> {
  const given = promptsOf(model, options, { encodes: encoder !== undefined });
  const { count = given.length } = options;
  const wanted = count >= 1 ? given.slice(0, count) : given; // what is no count is refused with the labels
  const idle = idleNotices(options);
  if (wanted.length === 0) return { options, prompts: [], notices: idle };
  if (encoder === undefined) {
    throw new TypeError(
      `Cannot generate: ${model.id} has no text encoder, so text and pooled must be given, or the ` +
        "pipeline a promptEncoder, instead of prompts",
    );
  }
  const { items: prompts, places } = distinct(wanted);
  const isGuided = (options.trueGuidance ?? 1) > 1;
  const negatives = prompts.flatMap(({ negativePrompt: prompt }) =>
    isGuided && prompt !== undefined ? [{ prompt }] : []
  );
  const positives = prompts.map(({ negativePrompt: _, ...text }) => text);
  const texts = distinct<PromptText>([...positives, ...negatives]);
  const { signal, onPreparing } = options;
  const { conditions, tokens } = await encoder.encode(texts.items, { signal, onPreparing });
  const rows = texts.places.slice(0, prompts.length);
  const nulls = texts.places.slice(prompts.length);
  const counted = tokens && rows.map((row, i) => [
    ...tokens[row] ?? [],
    ...(tokens[nulls[i] ?? NaN] ?? []).map((count) => ({ ...count, negative: true as const })),
  ]);
  return {
    options: {
      ...withConditions(options, rowsOf(conditions, rows)),
      ...(options.prompt === undefined ? { labels: places } : { label: 0 }),
      ...negativeOf(conditions, nulls),
    },
    prompts,
    ...(counted && { tokens: counted }),
    notices: [...lengthNotices(prompts, counted), ...idle],
  };
}

/** Options with conditions in place of prompts. */
function withConditions(options: GenerateOptions, encoded: Conditions): GenerateOptions {
  const { prompt: _, prompts: _2, prompt2: _3, negativePrompt: _4, ...rest } = options;
  const given = { text: options.text, pooled: options.pooled, ...options.conditions };
  if (Object.keys(encoded).some((name) => Reflect.get(given, name) !== undefined)) {
    const names = Object.keys(encoded).join(" or ");
    throw new TypeError(`Cannot generate: prompts must not be given together with ${names}`);
  }
  return { ...rest, conditions: { ...options.conditions, ...encoded } };
}

/** Negative conditions: one row where all pictures have the same. */
function negativeOf(
  encoded: Conditions,
  rows: readonly number[],
): Pick<GenerateOptions, "negativeConditions"> {
  if (rows.length === 0) return {};
  const isOne = rows.every((row) => row === rows[0]);
  return { negativeConditions: rowsOf(encoded, isOne ? rows.slice(0, 1) : rows) };
}

function rowsOf(conditions: Conditions, rows: readonly number[]): Conditions {
  const entries = Object.entries(conditions).map(([name, tensor]) =>
    [name, joinRows(rows.map((row) => sliceRows(tensor, row, 1)))] as const
  );
  return Object.fromEntries(entries);
}

/** Items that differ, in order, and which of them stands at each place. */
function distinct<T>(all: readonly T[]): {
  readonly items: readonly T[];
  readonly places: readonly number[];
} {
  const keys = all.map((item) => JSON.stringify(item));
  const first = [...new Set(keys)];
  return {
    items: first.map((key) => all[keys.indexOf(key)]!), // each comes from there
    places: keys.map((key) => first.indexOf(key)),
  };
}
