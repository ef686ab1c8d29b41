/**
 * `tokenizer.json`: the format of Hugging Face's tokenizers library, as far as text encoders use it.
 *
 * What would change numbers and is not computed here is refused by name.
 */

import { z } from "npm:zod@4.6.7";
import { checkJson } from "../assets/json.ts";

/** A token that is found in the text before anything else is done with it. */
export type AddedToken = z.infer<typeof ADDED_TOKEN>;
/** A checked description; the normalizer and the pre-tokenizer are checked when they are made. */
export type TokenizerJson = z.infer<typeof TOKENIZER>;
/** Byte-pair encoding, or Unigram of SentencePiece. */
export type SplittingModel = TokenizerJson["model"];

const id = z.number().int().nonnegative().max(10_000_000);
const no = z.literal(false).nullish();

/** Its schema. */
export const ADDED_TOKEN = z.looseObject({
  id,
  content: z.string().min(1),
  /** Found only between what are no words; no encoder's tokenizer has such a token. */
  single_word: no,
  lstrip: z.boolean().optional(),
  rstrip: z.boolean().optional(),
  normalized: z.boolean().optional(),
  special: z.boolean().optional(),
});

const BPE = z.looseObject({
  type: z.literal("BPE").default("BPE"), // files of 2021 do not name it
  vocab: z.record(z.string(), id),
  merges: z.union([z.array(z.string()), z.array(z.tuple([z.string(), z.string()]))]),
  unk_token: z.string().nullable().default(null),
  end_of_word_suffix: z.string().nullable().default(null),
  continuing_subword_prefix: z.literal("").nullish(),
  dropout: z.literal(0).nullable().default(null),
  fuse_unk: z.boolean().default(false),
  byte_fallback: z.boolean().default(false),
  ignore_merges: z.boolean().default(false),
});
const UNIGRAM = z.looseObject({
  type: z.literal("Unigram").default("Unigram"),
  vocab: z.array(z.tuple([z.string(), z.number()])).min(1),
  unk_id: id,
  byte_fallback: no,
});
/** What stands around a text: `special_tokens` says each one's numbers. */
const TEMPLATE = z.looseObject({
  type: z.literal("TemplateProcessing"),
  single: z.array(z.union([
    z.object({ SpecialToken: z.looseObject({ id: z.string() }) }),
    z.object({ Sequence: z.looseObject({ id: z.literal("A") }) }),
  ])),
  special_tokens: z.record(z.string(), z.looseObject({ ids: z.array(id) })),
});
const PAIR = z.tuple([z.string(), id]);
const AROUND = z.looseObject({
  type: z.enum(["RobertaProcessing", "BertProcessing"]),
  cls: PAIR,
  sep: PAIR,
});
const POST_PROCESSOR = z.discriminatedUnion("type", [
  TEMPLATE,
  AROUND,
  z.looseObject({ type: z.literal("ByteLevel") }), // of places in the text only
]);
const TOKENIZER = z.looseObject({
  added_tokens: z.array(ADDED_TOKEN).default([]),
  normalizer: z.unknown().optional(),
  pre_tokenizer: z.unknown().optional(),
  post_processor: POST_PROCESSOR.nullish(),
  model: z.union([BPE, UNIGRAM]),
  padding: z.looseObject({ pad_token: z.string() }).nullish(),
  truncation: z.looseObject({ max_length: z.number().int().positive() }).nullish(),
});

/**
 * Checks a description.
 *
 * @throws {AssetError} Naming the first key at fault.
 */
export function parseTokenizerJson(json: unknown, thing: string): TokenizerJson {
  return checkJson(json, TOKENIZER, thing);
}

/** Numbers that stand before and after every text. */
export function around(
  { post_processor: post }: TokenizerJson,
): { readonly before: readonly number[]; readonly after: readonly number[] } {
  if (post === null || post === undefined || post.type === "ByteLevel") {
    return { before: [], after: [] };
  }
  if (post.type !== "TemplateProcessing") return { before: [post.cls[1]], after: [post.sep[1]] };
  const place = post.single.findIndex((part) => "Sequence" in part);
  const ids = (parts: typeof post.single): readonly number[] =>
    parts.flatMap((part) =>
      "SpecialToken" in part ? post.special_tokens[part.SpecialToken.id]?.ids ?? [] : []
    );
  return { before: ids(post.single.slice(0, place)), after: ids(post.single.slice(place + 1)) };
}

/** Finds a token's number in the model's vocabulary. */
export function idIn({ model }: TokenizerJson): (text: string) => number | undefined {
  if (model.type === "BPE") {
    return (text) => Object.hasOwn(model.vocab, text) ? model.vocab[text] : undefined;
  }
  const ids = new Map(model.vocab.map(([text], id) => [text, id]));
  return (text) => ids.get(text);
}
