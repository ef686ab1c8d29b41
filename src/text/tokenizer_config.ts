/**
 * `tokenizer_config.json` and `special_tokens_map.json`: which tokens are special, and how long a text may be.
 */

import { z } from "npm:zod@4.6.7";
import { checkJson } from "../assets/json.ts";
import { readJson } from "../assets/model_files.ts";
import type { Source } from "../assets/source.ts";
import { ADDED_TOKEN, type AddedToken } from "./tokenizer_json.ts";

/** What `tokenizer_config.json` says; the rest of it has no part in the numbers. */
export type TokenizerConfig = z.infer<typeof CONFIG>;

/** By its text, or with how it is found. */
const NAMED = z.union([z.string(), ADDED_TOKEN.omit({ id: true })]).nullish();
/** On the left, other numbers would come out. */
const RIGHT = z.literal("right").optional();
const CONFIG = z.looseObject({
  tokenizer_class: z.string().optional(),
  model_max_length: z.number().positive().nullish(),
  padding_side: RIGHT,
  truncation_side: RIGHT,
  added_tokens_decoder: z
    .record(z.string().regex(/^\d{1,7}$/), ADDED_TOKEN.omit({ id: true })).optional(),
  bos_token: NAMED,
  eos_token: NAMED,
  unk_token: NAMED,
  pad_token: NAMED,
});
/** In the order in which transformers takes them. */
const SPECIAL = ["bos_token", "eos_token", "unk_token", "pad_token"] as const;
const MAP = CONFIG.pick({ bos_token: true, eos_token: true, unk_token: true, pad_token: true });

/**
 * Reads the configuration in a folder. As in transformers, the map of special tokens is heard where the
 * configuration does not list the added ones.
 *
 * @throws {AssetError} When a file is damaged, or asks for what is not done here.
 */
export async function readTokenizerConfig(folder: Source): Promise<TokenizerConfig> {
  const read = async <T>(name: string, schema: z.ZodType<T>): Promise<T> =>
    checkJson(await readJson(folder, name) ?? {}, schema, `${name} in ${folder.name}`);
  const config = await read("tokenizer_config.json", CONFIG);
  if (config.added_tokens_decoder !== undefined) return config;
  return { ...config, ...await read("special_tokens_map.json", MAP) };
}

/** The text of a special token; `undefined` where there is none. */
export function textOf(token: z.infer<typeof NAMED>): string | undefined {
  return typeof token === "string" ? token : token?.content;
}

/**
 * All tokens that are found in a text before it is split: those listed, and the special ones.
 *
 * A special token that is given by its text alone is not looked for in normalized text. It takes the place
 * of one of the same text that was given in full before it, as CLIP's padding does with its end token.
 *
 * @param idOf The number of a text in the vocabulary, for special tokens that are not listed.
 */
export function addedTokens(
  listed: readonly AddedToken[],
  config: TokenizerConfig,
  idOf: (text: string) => number | undefined,
): readonly AddedToken[] {
  const inConfig = Object.entries(config.added_tokens_decoder ?? {});
  const all = [...listed, ...inConfig.map(([id, token]) => ({ ...token, id: Number(id) }))];
  const found = new Map(all.map((token) => [token.content, token]));
  const special = new Map<string, AddedToken>();
  for (const name of SPECIAL) {
    const token = config[name];
    const content = textOf(token);
    const id = content === undefined ? undefined : idOf(content);
    if (content === undefined || id === undefined || found.has(content)) continue;
    const how = typeof token === "object" ? token : { normalized: false };
    special.set(content, { ...how, content, id });
  }
  return [...found.values(), ...special.values()];
}
