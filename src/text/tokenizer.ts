/**
 * Tokenizers: a prompt to the numbers that a text encoder takes.
 *
 * Splitting is the tokenizer's own (`text_splitter.ts`); here the numbers get the special tokens around
 * them, are cut to the encoder's length and padded to it, as transformers does with
 * `padding="max_length", truncation=True`.
 */

import type { Source } from "../assets/source.ts";
import { AssetError } from "../errors.ts";
import { openSplitter, type TextSplitter } from "./text_splitter.ts";
import { readTokenizer } from "./tokenizer_files.ts";

/** A prompt as a text encoder takes it. */
export interface TokenizedPrompt {
  /** Exactly `length` numbers: the text's and special tokens, then padding. */
  readonly ids: Int32Array;
  /** 1 for each token of the text or around it, 0 for padding. */
  readonly mask: Uint8Array;
  /** How many tokens the whole text has, special ones included, before it is cut. */
  readonly tokens: number;
  /** How many tokens of the text do not fit and were left out; 0 for most prompts. */
  readonly omitted: number;
}

/** Makes numbers of prompts. */
export interface PromptTokenizer {
  /** The highest number that it can give, plus 1. */
  readonly vocabularySize: number;
  /** How many tokens the encoder takes: the length of every result. */
  readonly length: number;
  /**
   * Makes numbers of a text. Halves of surrogate pairs become U+FFFD, as UTF-8 encoders replace them.
   *
   * @throws {RangeError} When the text has more than `MAX_PROMPT` UTF-16 units.
   */
  tokenize(prompt: string): TokenizedPrompt;
}

/** How a tokenizer is opened. */
export interface TokenizerOptions {
  /** Tokens that the pipeline gives its encoder; the tokenizer's own length where that is smaller, or none is given. */
  readonly length?: number;
  /** Rows of the encoder's table of tokens, above which no number may be. */
  readonly vocabulary?: number;
}

/** Longest text, in UTF-16 units: far beyond any encoder, and quickly split. */
export const MAX_PROMPT = 100_000;

/**
 * Opens the tokenizer in a folder: from `tokenizer.json`, or CLIP's `vocab.json` with `merges.txt`, and
 * `tokenizer_config.json`, `special_tokens_map.json` beside them.
 *
 * @throws {AssetError} When a file is missing, damaged or of a kind that is not read here, or the
 *   tokenizer has numbers that the encoder has not.
 */
export async function openTokenizer(
  folder: Source,
  { length, vocabulary }: TokenizerOptions = {},
): Promise<PromptTokenizer> {
  const { json, pad, longest } = await readTokenizer(folder);
  const splitter = openSplitter(json, folder.name);
  checkVocabulary(splitter, folder.name, vocabulary);
  const padding = splitter.idOf(pad);
  if (padding === undefined) {
    throw new AssetError(
      `Cannot open ${folder.name}: its padding must be one of its tokens: ` +
        `current value is ${JSON.stringify(pad)}`,
    );
  }
  const room = Math.min(length ?? Infinity, longest ?? Infinity);
  checkLength(room, splitter, folder.name);
  return {
    vocabularySize: splitter.vocabularySize,
    length: room,
    tokenize: (prompt) => fit(splitter, prompt, { length: room, padding }),
  };
}

/** Cuts the text, never what stands around it: without its end token, CLIP's pooled output would be another. */
function fit(
  splitter: TextSplitter,
  prompt: string,
  { length, padding }: { readonly length: number; readonly padding: number },
): TokenizedPrompt {
  if (prompt.length > MAX_PROMPT) {
    throw new RangeError(
      `Cannot split prompt: it must have at most ${MAX_PROMPT} characters: ` +
        `current value is ${prompt.length}`,
    );
  }
  const { before, after } = splitter;
  const text = splitter.split(prompt.toWellFormed());
  const kept = Math.min(text.length, length - before.length - after.length);
  const count = before.length + kept + after.length;
  const ids = new Int32Array(length).fill(padding);
  ids.set(before);
  ids.set(text.slice(0, kept), before.length);
  ids.set(after, before.length + kept);
  return {
    ids,
    mask: new Uint8Array(length).fill(1, 0, count),
    tokens: before.length + text.length + after.length,
    omitted: text.length - kept,
  };
}

function checkVocabulary(splitter: TextSplitter, name: string, vocabulary = Infinity): void {
  const { vocabularySize } = splitter;
  if (vocabularySize <= vocabulary) return;
  throw new AssetError(
    `Cannot use ${name}: its tokens must be below ${vocabulary}, the rows of the encoder's table: ` +
      `current value is ${vocabularySize - 1}`,
  );
}

function checkLength(length: number, { before, after }: TextSplitter, name: string): void {
  const least = before.length + after.length + 1;
  if (Number.isSafeInteger(length) && length >= least) return;
  throw new AssetError(
    `Cannot open ${name}: its model_max_length must be a whole number of at least ${least}: ` +
      `current value is ${length === Infinity ? "absent" : length}`,
  );
}
