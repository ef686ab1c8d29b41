/**
 * The files of a tokenizer: found, read and checked.
 */

import { describe } from "../assets/json.ts";
import { readDescription, readJson } from "../assets/model_files.ts";
import type { Source } from "../assets/source.ts";
import { AssetError } from "../errors.ts";
import { asClass } from "./tokenizer_class.ts";
import {
  addedTokens,
  readTokenizerConfig,
  textOf,
  type TokenizerConfig,
} from "./tokenizer_config.ts";
import { idIn, parseTokenizerJson, type TokenizerJson } from "./tokenizer_json.ts";

/** What a folder says of its tokenizer. */
export interface TokenizerDescription {
  /** With the steps of its class, and with all tokens that are found in a text before it is split. */
  readonly json: TokenizerJson;
  /** The token that fills what the text leaves free. */
  readonly pad: string;
  /** Most tokens of a text; `undefined` where none is stated. */
  readonly longest: number | undefined;
}

const JSON_FILE = "tokenizer.json";
const VOCABULARY = "vocab.json";
const MERGES = "merges.txt";
const SENTENCEPIECE = ["spiece.model", "tokenizer.model", "sentencepiece.bpe.model"];
/** transformers writes 1e30 where there is no limit. */
const NO_LIMIT = 1e9;

/**
 * Reads the tokenizer in a folder.
 *
 * @throws {AssetError} When a file is missing, damaged, or of a kind that is not read here.
 */
export async function readTokenizer(folder: Source): Promise<TokenizerDescription> {
  const config = await readTokenizerConfig(folder);
  const written = await readJson(folder, JSON_FILE);
  const json = written === undefined
    ? await readClip(folder, config)
    : asClass(parseTokenizerJson(written, `${JSON_FILE} in ${folder.name}`), config, folder.name);
  const pad = textOf(config.pad_token) ?? json.padding?.pad_token;
  if (pad === undefined) {
    throw new AssetError(
      `Cannot open ${folder.name}: tokenizer_config.json must have pad_token: ` +
        `current value is ${describe(config.pad_token)}`,
    );
  }
  const longest = config.model_max_length ?? NO_LIMIT;
  return {
    json: { ...json, added_tokens: [...addedTokens(json.added_tokens, config, idIn(json))] },
    pad,
    longest: longest < NO_LIMIT ? longest : json.truncation?.max_length,
  };
}

/** CLIP's, of vocabulary and merges: all that most published pipelines have of it. */
async function readClip(folder: Source, config: TokenizerConfig): Promise<TokenizerJson> {
  const vocab = await readJson(folder, VOCABULARY);
  const merges = await readMerges(folder);
  if (vocab === undefined || merges === undefined) return await refuseMissing(folder);
  const { tokenizer_class = "CLIPTokenizer" } = config;
  if (!/^CLIPTokenizer(?:Fast)?$/.test(tokenizer_class)) {
    throw new AssetError(
      `Cannot open ${folder.name}: it must have ${JSON_FILE}, for ${VOCABULARY} and ${MERGES} are ` +
        `read as CLIPTokenizer's: current value is ${describe(tokenizer_class)}`,
    );
  }
  const thing = `${VOCABULARY} in ${folder.name}`;
  const json = parseTokenizerJson({ model: { type: "BPE", vocab, merges } }, thing);
  return asClass(json, { ...config, tokenizer_class }, folder.name);
}

/** Its lines, but for the first, which names a version. */
async function readMerges(folder: Source): Promise<readonly string[] | undefined> {
  const bytes = await readDescription(folder, MERGES);
  if (bytes === undefined) return undefined;
  const lines = new TextDecoder().decode(bytes).split(/\r?\n/).filter((line) =>
    line !== "" && !line.startsWith("#version")
  );
  const wrong = lines.findIndex((line) => !/^[^ ]+ [^ ]+$/.test(line));
  if (wrong < 0) return lines;
  throw new AssetError(
    `Cannot read ${MERGES} in ${folder.name}: merge ${wrong} must be two tokens with a space between: ` +
      `current value is ${describe(lines[wrong])}`,
  );
}

/** There is neither `tokenizer.json` nor what could stand for it. */
async function refuseMissing(folder: Source): Promise<never> {
  const thing = `Cannot open ${folder.name}: it must have ${JSON_FILE}`;
  for (const name of SENTENCEPIECE) {
    if (await folder.size(name) === undefined) continue;
    throw new AssetError(
      `${thing}: of ${name}, SentencePiece's file, Python's transformers makes it by ` +
        `AutoTokenizer.from_pretrained("FOLDER").save_pretrained("FOLDER")`,
    );
  }
  throw new AssetError(`${thing}, or CLIP's ${VOCABULARY} and ${MERGES}`);
}
