/** What the tests of this folder share: a tokenizer's folder in memory, and a small tokenizer. */

import { openMemory, type Source } from "../../src/assets/source.ts";

/** A folder of files; what is no text is written as JSON. */
export function folder(files: Readonly<Record<string, unknown>>): Source {
  const bytes = Object.entries(files).map(([name, file]): [string, Uint8Array] => [
    name,
    new TextEncoder().encode(typeof file === "string" ? file : JSON.stringify(file)),
  ]);
  return openMemory(new Map(bytes));
}

/** A tokenizer of letters `a` to `c` and a space, with an end token, for tables of what is wrong with one. */
export const SMALL = {
  added_tokens: [{ id: 0, content: "<pad>", special: true }, {
    id: 1,
    content: "</s>",
    special: true,
  }],
  normalizer: { type: "Lowercase" },
  pre_tokenizer: { type: "Metaspace", replacement: "▁", prepend_scheme: "never" },
  post_processor: {
    type: "TemplateProcessing",
    single: [{ Sequence: { id: "A", type_id: 0 } }, { SpecialToken: { id: "</s>", type_id: 0 } }],
    special_tokens: { "</s>": { id: "</s>", ids: [1], tokens: ["</s>"] } },
  },
  model: {
    type: "Unigram",
    unk_id: 2,
    vocab: [["<pad>", 0], ["</s>", 0], ["<unk>", 0], ["a", -1], ["b", -2], ["c", -3], ["▁", -2], [
      "ab",
      -2,
    ]],
  },
};
