/**
 * Pre-tokenizers of `tokenizer.json`: a text to words, inside which tokens are looked for.
 */

import { ByteLevelPreTokenizer } from "npm:@huggingface/tokenizers@0.2.0";
import { z } from "npm:zod@4.6.7";
import { checkJson } from "../assets/json.ts";
import { expression, PATTERN } from "./normalizer.ts";

/** Splits a text; `isFirst` where nothing stands before it. */
export type SplitWords = (text: string, isFirst: boolean) => readonly string[];

/** What SentencePiece puts for a space, U+2581. */
const MARK = "▁";
const SCHEMA = z.discriminatedUnion("type", [
  z.looseObject({ type: z.literal("WhitespaceSplit") }),
  z.looseObject({
    type: z.literal("Split"),
    pattern: PATTERN,
    behavior: z.enum(["Removed", "Isolated"]),
    invert: z.boolean().default(false),
  }),
  z.looseObject({
    type: z.literal("Metaspace"),
    replacement: z.literal(MARK).default(MARK),
    prepend_scheme: z.enum(["always", "first", "never"]).optional(),
    add_prefix_space: z.boolean().default(true), // what files before 2024 say instead
    split: z.boolean().default(true),
  }),
  z.looseObject({
    type: z.literal("ByteLevel"),
    add_prefix_space: z.boolean().default(true),
    use_regex: z.boolean().default(true),
  }),
  z.looseObject({ type: z.literal("Sequence"), pretokenizers: z.array(z.unknown()) }),
]);
type Step = z.infer<typeof SCHEMA>;

/** How GPT-2 splits, in Oniguruma's syntax: the library's own takes JavaScript's white space. */
const GPT2 = {
  Regex: "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
};

/**
 * Makes the pre-tokenizer that a description asks for; none leaves a text in one piece.
 *
 * @throws {AssetError} When it is of a kind that is not computed here, or damaged.
 */
export function preTokenizer(json: unknown, thing: string): SplitWords {
  if (json === null || json === undefined) return (text) => [text];
  const step = checkJson(json, SCHEMA, thing);
  switch (step.type) {
    case "Sequence": {
      const steps = step.pretokenizers.map((inner) => preTokenizer(inner, thing));
      return (text, isFirst) =>
        steps.reduce<readonly string[]>(
          (words, split) => words.flatMap((word, i) => split(word, isFirst && i === 0)),
          [text],
        );
    }
    case "WhitespaceSplit":
      return splitting(expression({ Regex: "\\s+" }, thing), {
        invert: false,
        behavior: "Removed",
      });
    case "Split":
      return splitting(expression(step.pattern, thing), step);
    case "Metaspace":
      return metaspace(step);
    case "ByteLevel":
      return byteLevel(step, thing);
  }
}

/** The stretches between delimiters, and these too unless they are removed. */
function splitting(
  wanted: RegExp,
  { invert, behavior }: Pick<Extract<Step, { type: "Split" }>, "invert" | "behavior">,
): SplitWords {
  return (text) => {
    const words: string[] = [];
    const take = (word: string, isDelimiter: boolean): void => {
      if (word !== "" && !(isDelimiter && behavior === "Removed")) words.push(word);
    };
    let end = 0;
    for (const { 0: match, index } of text.matchAll(wanted)) {
      take(text.slice(end, index), invert);
      take(match, !invert);
      end = index + match.length;
    }
    take(text.slice(end), invert);
    return words;
  };
}

/** Spaces become a mark, which begins each word. */
function metaspace(
  { prepend_scheme: scheme, add_prefix_space: prefix, split }: Extract<Step, { type: "Metaspace" }>,
): SplitWords {
  const prepend = scheme ?? (prefix ? "always" : "never");
  return (text, isFirst) => {
    const marked = text.replaceAll(" ", MARK);
    const begins = prepend === "always" || prepend === "first" && isFirst;
    const whole = begins && !marked.startsWith(MARK) ? MARK + marked : marked;
    return split ? whole.split(/(?=▁)/u) : [whole];
  };
}

/** Bytes of UTF-8 as printable characters. */
function byteLevel(
  { add_prefix_space: prefix, use_regex: splits }: Extract<Step, { type: "ByteLevel" }>,
  thing: string,
): SplitWords {
  const split = splitting(expression(GPT2, thing), { invert: true, behavior: "Removed" });
  const printable = new ByteLevelPreTokenizer({ type: "ByteLevel", use_regex: false });
  return (text, isFirst) => {
    const whole = prefix && !text.startsWith(" ") ? ` ${text}` : text;
    return printable.pre_tokenize([...(splits ? split(whole, isFirst) : [whole])]);
  };
}
