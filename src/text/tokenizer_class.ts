/**
 * What transformers' classes of tokenizers do to a text, whatever `tokenizer.json` says of it.
 *
 * `CLIPTokenizer` and `T5Tokenizer` take vocabulary and merges of their files, and bring the other steps
 * themselves; any other class takes the steps of `tokenizer.json`.
 *
 * _Source:_ transformers 5.24, tokenization_clip.py and tokenization_t5.py.
 */

import { valueAt } from "../assets/json.ts";
import { AssetError } from "../errors.ts";
import { textOf, type TokenizerConfig } from "./tokenizer_config.ts";
import { idIn, type TokenizerJson } from "./tokenizer_json.ts";

type Steps = Partial<TokenizerJson>;

const CLASSES: Readonly<
  Record<string, (json: TokenizerJson, config: TokenizerConfig, name: string) => Steps>
> = { CLIPTokenizer: clip, T5Tokenizer: t5 };

/** Where one of CLIP's words ends and the next one begins, in Oniguruma's syntax. */
const CLIP_WORDS = `<\\|startoftext\\|>|<\\|endoftext\\|>|'s|'t|'re|'ve|'m|'ll|'d|` +
  `[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+`;
const START = "<|startoftext|>";
const END = "<|endoftext|>";

/**
 * A description with the steps of its class.
 *
 * @param name What is opened, for messages.
 * @throws {AssetError} When a token of the class is not in the vocabulary.
 */
export function asClass(
  json: TokenizerJson,
  config: TokenizerConfig,
  name: string,
): TokenizerJson {
  const className = config.tokenizer_class?.replace(/Fast$/, "") ?? "";
  const steps = Object.hasOwn(CLASSES, className) ? CLASSES[className] : undefined;
  return { ...json, ...steps?.(json, config, name) };
}

function clip(json: TokenizerJson, config: TokenizerConfig, name: string): Steps {
  const { bos_token, eos_token, unk_token } = config;
  const idOf = idIn(json);
  const special = (token: typeof bos_token, usual: string): [string, number] => {
    const text = textOf(token) ?? usual;
    const id = idOf(text);
    if (id !== undefined) return [text, id];
    throw new AssetError(`Cannot open ${name}: its vocabulary must have the token ${text}`);
  };
  const end = special(eos_token, END);
  return {
    normalizer: {
      type: "Sequence",
      normalizers: [
        { type: "NFC" },
        { type: "Replace", pattern: { Regex: "\\s+" }, content: " " },
        { type: "Lowercase" },
      ],
    },
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        { type: "Split", pattern: { Regex: CLIP_WORDS }, behavior: "Removed", invert: true },
        { type: "ByteLevel", add_prefix_space: false, use_regex: true },
      ],
    },
    post_processor: { type: "RobertaProcessing", cls: special(bos_token, START), sep: end },
    ...(json.model.type === "BPE" && {
      model: { ...json.model, end_of_word_suffix: "</w>", unk_token: special(unk_token, END)[0] },
    }),
    padding: json.padding ?? { pad_token: end[0] },
  };
}

/** Of the normalizer, SentencePiece's table alone is kept. */
function t5(json: TokenizerJson): Steps {
  const steps = valueAt(json.normalizer, ["normalizers"]) ?? [json.normalizer];
  const table = Array.isArray(steps)
    ? steps.find((step) => valueAt(step, ["type"]) === "Precompiled")
    : undefined;
  return {
    normalizer: table ?? null,
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        { type: "WhitespaceSplit" },
        { type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true },
      ],
    },
  };
}
