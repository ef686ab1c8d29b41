/**
 * Normalizers of `tokenizer.json`: what is done to a text before it is split.
 *
 * Written here but for the patterns, since the library's differ from Rust's where a text is unusual:
 * JavaScript lower-cases a final sigma by its neighbours, counts U+FEFF and not U+0085 as white space, and
 * SentencePiece's tables are approximated there.
 */

import { SplitPreTokenizer } from "npm:@huggingface/tokenizers@0.2.0";
import { z } from "npm:zod@4.6.7";
import { checkJson, describe } from "../assets/json.ts";
import { AssetError } from "../errors.ts";
import { charsmap } from "./charsmap.ts";

/** Changes a text. */
export type Normalize = (text: string) => string;

/** What is looked for: a text, or an expression in Oniguruma's syntax. */
export const PATTERN: z.ZodType<{ String: string } | { Regex: string }> = z.union([
  z.object({ String: z.string().min(1) }),
  z.object({ Regex: z.string() }),
]);
const SCHEMA = z.discriminatedUnion("type", [
  z.looseObject({ type: z.enum(["NFC", "NFD", "NFKC", "NFKD"]) }),
  z.looseObject({ type: z.literal("Lowercase") }),
  z.looseObject({ type: z.literal("Precompiled"), precompiled_charsmap: z.string().nullable() }),
  z.looseObject({ type: z.literal("Prepend"), prepend: z.string() }),
  z.looseObject({ type: z.literal("Replace"), pattern: PATTERN, content: z.string() }),
  z.looseObject({
    type: z.literal("Strip"),
    strip_left: z.boolean().default(true),
    strip_right: z.boolean().default(true),
  }),
  z.looseObject({ type: z.literal("Sequence"), normalizers: z.array(z.unknown()) }),
]);

/**
 * Makes the normalizer that a description asks for; none changes nothing.
 *
 * @throws {AssetError} When it is of a kind that is not computed here, or damaged.
 */
export function normalizer(json: unknown, thing: string): Normalize {
  if (json === null || json === undefined) return (text) => text;
  const step = checkJson(json, SCHEMA, thing);
  switch (step.type) {
    case "Sequence": {
      const steps = step.normalizers.map((inner) => normalizer(inner, thing));
      return (text) => steps.reduce((changed, normalize) => normalize(changed), text);
    }
    case "Lowercase": // one by one, as Rust does
      return (text) => Array.from(text, (character) => character.toLowerCase()).join("");
    case "Precompiled":
      return step.precompiled_charsmap ? charsmap(step.precompiled_charsmap) : (text) => text;
    case "Prepend":
      return (text) => text === "" ? "" : step.prepend + text;
    case "Replace": {
      const pattern = expression(step.pattern, thing);
      return (text) => text.replaceAll(pattern, () => step.content);
    }
    case "Strip":
      return (text) => strip(text, { left: step.strip_left, right: step.strip_right });
    default:
      return (text) => text.normalize(step.type);
  }
}

/**
 * JavaScript's expression for one in Oniguruma's syntax; the library translates it.
 *
 * @throws {AssetError} When it is none.
 */
export function expression(pattern: z.infer<typeof PATTERN>, thing: string): RegExp {
  try {
    const step = { type: "Split", behavior: "Removed", invert: true, pattern } as const;
    return new SplitPreTokenizer(step).pattern!; // null only for what is neither text nor expression
  } catch (cause) {
    throw new AssetError(
      `Cannot read ${thing}: its pattern must be an expression that is understood here: ` +
        `current value is ${describe(Object.values(pattern)[0])}`,
      { cause },
    );
  }
}

/** Without white space, as Unicode defines it, at its ends. Unlike an expression's, its time grows with the text only. */
export function strip(
  text: string,
  { left = false, right = false }: { readonly left?: boolean; readonly right?: boolean },
): string {
  const isSpace = (at: number): boolean => /\p{White_Space}/u.test(text[at] ?? "");
  let [start, end] = [0, text.length];
  while (left && start < end && isSpace(start)) start++;
  while (right && start < end && isSpace(end - 1)) end--;
  return text.slice(start, end);
}
