/**
 * A text to numbers, as `tokenizer.json` describes it: added tokens first, then normalized and split into
 * words, then words into tokens of the vocabulary.
 *
 * The library `@huggingface/tokenizers` has the two models and the syntax of expressions. Its own way
 * through the steps is not taken: it finds in changed text what must be found in the text as it was
 * written, and joins unknown characters beyond the end of a word.
 *
 * _Source:_ tokenizers 0.23, whose numbers these are.
 */

import { BPE, Unigram } from "npm:@huggingface/tokenizers@0.2.0";
import { normalizer, strip } from "./normalizer.ts";
import { preTokenizer } from "./pre_tokenizer.ts";
import {
  type AddedToken,
  around,
  type SplittingModel,
  type TokenizerJson,
} from "./tokenizer_json.ts";

/** Splits texts. */
export interface TextSplitter {
  /** Numbers that stand before every text. */
  readonly before: readonly number[];
  /** Numbers that stand after every text. */
  readonly after: readonly number[];
  /** The highest number, plus 1. */
  readonly vocabularySize: number;
  /** The number of a token; `undefined` when it is none. */
  idOf(token: string): number | undefined;
  /** Numbers of a text without what stands around it. */
  split(text: string): readonly number[];
}

/** A stretch of text, or a token that was found in it. */
type Piece = string | AddedToken;

/**
 * Makes the splitter of a description.
 *
 * @param name What is opened, for messages.
 * @throws {AssetError} When it has a step of a kind that is not computed here.
 */
export function openSplitter(json: TokenizerJson, name: string): TextSplitter {
  const normalize = normalizer(json.normalizer, `normalizer of ${name}`);
  const words = preTokenizer(json.pre_tokenizer, `pre_tokenizer of ${name}`);
  const { idOf, tokens, vocabularySize } = openModel(json.model);
  const added = json.added_tokens;
  const ids = new Map(added.map(({ content, id }) => [content, id]));
  const isNormalized = (token: AddedToken): boolean => token.normalized ?? !token.special;
  const inRaw = finder(added.filter((token) => !isNormalized(token)));
  const inNormalized = finder(
    added.filter(isNormalized).map((token) => ({ ...token, content: normalize(token.content) })),
  );
  const split = (text: string): readonly number[] => {
    let isFirst = true;
    const pieces = inRaw(text)
      .flatMap((raw) => typeof raw === "string" ? inNormalized(normalize(raw)) : [raw]);
    return pieces.flatMap((piece) => {
      const numbers = typeof piece === "string"
        ? words(piece, isFirst).flatMap(tokens)
        : [piece.id];
      isFirst = false;
      return numbers;
    });
  };
  const highest = added.reduce((most, { id }) => Math.max(most, id + 1), vocabularySize);
  const find = (token: string): number | undefined => ids.get(token) ?? idOf(token);
  return { ...around(json), vocabularySize: highest, idOf: find, split };
}

/** Finds tokens in a text, the longest at each place, with the white space around that they take. */
function finder(tokens: readonly AddedToken[]): (text: string) => readonly Piece[] {
  if (tokens.length === 0) return (text) => text === "" ? [] : [text];
  const byText = new Map(tokens.map((token) => [token.content, token]));
  const longestFirst = [...byText.keys()].sort((a, b) => b.length - a.length);
  const wanted = new RegExp(longestFirst.map(escaped).join("|"), "gu");
  return (text) => {
    const pieces: Piece[] = [];
    let end = 0;
    let left = false; // whether the token before takes the space after it
    const take = (part: string, right: boolean): void => {
      const stripped = strip(part, { left, right });
      if (stripped !== "") pieces.push(stripped);
    };
    for (const { 0: match, index } of text.matchAll(wanted)) {
      const token = byText.get(match)!;
      take(text.slice(end, index), token.lstrip === true);
      pieces.push(token);
      left = token.rstrip === true;
      end = index + match.length;
    }
    take(text.slice(end), false);
    return pieces;
  };
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
}

/** The library's model, and the numbers of what it splits a word into. */
function openModel(
  json: SplittingModel,
): Pick<TextSplitter, "idOf" | "vocabularySize"> & { tokens(word: string): readonly number[] } {
  const model = json.type === "BPE" ? new BPE(json) : new Unigram(json, ""); // the end token's text has no part in its numbers
  const { tokens_to_ids: ids, unk_token_id: unknown, fuse_unk: fuses } = model;
  const vocabularySize = [...ids.values()].reduce((most, id) => Math.max(most, id + 1), 0);
  const tokens = (word: string): readonly number[] => {
    const found = model.encode([word]).flatMap((token) => ids.get(token) ?? unknown ?? []);
    return fuses ? found.filter((id, i) => id !== unknown || id !== found[i - 1]) : found;
  };
  return { vocabularySize, idOf: (token) => ids.get(token), tokens };
}
