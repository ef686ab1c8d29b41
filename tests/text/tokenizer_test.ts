import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import { AssetError } from "../../src/errors.ts";
import { MAX_PROMPT, openTokenizer } from "../../src/text/tokenizer.ts";
import { folder, SMALL } from "./folder.ts";

const CONFIG = { model_max_length: 8, pad_token: "<pad>" };
const BYTES = Object.fromEntries(
  [..."abc!"].flatMap((c, i) => [[c, 2 * i], [`${c}</w>`, 2 * i + 1]]),
);
const CLIP = {
  "vocab.json": { ...BYTES, "ab": 8, "ab</w>": 9, "<|startoftext|>": 10, "<|endoftext|>": 11 },
  "merges.txt": "#version: 0.2\na b\na b</w>\n",
};

Deno.test("tokenize() cuts the text, keeps its end token, and says how many tokens were left out", async () => {
  const files = folder({ "tokenizer.json": SMALL, "tokenizer_config.json": CONFIG });
  const tokenizer = await openTokenizer(files);
  const short = tokenizer.tokenize("ab C");
  assertEquals(short, {
    ids: Int32Array.of(7, 6, 5, 1, 0, 0, 0, 0),
    mask: Uint8Array.of(1, 1, 1, 1, 0, 0, 0, 0),
    tokens: 4,
    omitted: 0,
  });
  const long = tokenizer.tokenize("c".repeat(20));
  assertEquals(long, {
    ids: Int32Array.of(5, 5, 5, 5, 5, 5, 5, 1),
    mask: new Uint8Array(8).fill(1),
    tokens: 21,
    omitted: 13,
  });
});

Deno.test("tokenize() gives `length` numbers below the vocabulary's size, whatever the text", async () => {
  const unigram = await openTokenizer(
    folder({ "tokenizer.json": SMALL, "tokenizer_config.json": CONFIG }),
  );
  const clip = await openTokenizer(folder(CLIP), { length: 5 });
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 40 }), (text) => {
    for (const { length, tokenize, vocabularySize } of [unigram, clip]) {
      const { ids, mask, tokens, omitted } = tokenize(text);
      assertEquals([ids.length, mask.length], [length, length]);
      assert(ids.every((id) => id >= 0 && id < vocabularySize), `${ids}`);
      assertEquals(mask.reduce((sum, bit) => sum + bit, 0), Math.min(tokens, length));
      assertEquals(omitted, Math.max(0, tokens - length));
    }
  }));
});

Deno.test("tokenize() reads half a surrogate pair as U+FFFD, and NUL as a character", async () => {
  const vocab = [...SMALL.model.vocab, ["\ufffd", -1], ["\0", -1]];
  const tokenizer = await openTokenizer(folder({
    "tokenizer.json": { ...SMALL, model: { ...SMALL.model, vocab } },
    "tokenizer_config.json": CONFIG,
  }));
  assertEquals([...tokenizer.tokenize("a\ud83d\0").ids], [3, 8, 9, 1, 0, 0, 0, 0]);
  assertEquals(tokenizer.tokenize("\udc00b").ids, tokenizer.tokenize("\ufffdb").ids);
});

Deno.test("tokenize() splits the longest text that it takes, one word or many, and refuses a longer one", async () => {
  const unigram = await openTokenizer(
    folder({ "tokenizer.json": SMALL, "tokenizer_config.json": CONFIG }),
  );
  const clip = await openTokenizer(folder(CLIP), { length: 5 });
  const known = ["a", "ab ", "!", " "].map((part) => part.repeat(MAX_PROMPT / part.length));
  for (const { tokenize } of [unigram, clip]) {
    for (const text of known) assert(tokenize(text).ids.length > 0);
    assertThrows(
      () => tokenize("a".repeat(MAX_PROMPT + 1)),
      RangeError,
      "Cannot split prompt: it must have at most 100000 characters: current value is 100001",
    );
  }
  assertEquals(unigram.tokenize("z".repeat(MAX_PROMPT)).tokens, 2); // one unknown stretch
});

Deno.test("openTokenizer() takes CLIP's files without a word of configuration, and pads with its end token", async () => {
  const tokenizer = await openTokenizer(folder(CLIP), { length: 6 });
  assertEquals([...tokenizer.tokenize("AB  ab!").ids], [10, 9, 9, 7, 11, 11]);
  assertEquals(tokenizer.vocabularySize, 12);
});

Deno.test("openTokenizer() hears special_tokens_map.json unless the configuration lists added tokens", async () => {
  const map = { pad_token: "!" };
  const read = async (config: object): Promise<number[]> => {
    const files = { ...CLIP, "special_tokens_map.json": map, "tokenizer_config.json": config };
    return [...(await openTokenizer(folder(files), { length: 5 })).tokenize("a").ids];
  };
  assertEquals(await read({}), [10, 1, 11, 6, 6]);
  assertEquals(await read({ added_tokens_decoder: {} }), [10, 1, 11, 11, 11]);
});

Deno.test("openTokenizer() takes the shorter of two lengths", async () => {
  const files = folder({ "tokenizer.json": SMALL, "tokenizer_config.json": CONFIG });
  assertEquals((await openTokenizer(files, { length: 4 })).length, 4);
  assertEquals((await openTokenizer(files, { length: 400 })).length, 8);
});

Deno.test("openTokenizer() refuses by name what is missing, damaged or not computed here", async () => {
  const json = (change: object): object => ({
    "tokenizer.json": { ...SMALL, ...change },
    "tokenizer_config.json": CONFIG,
  });
  const cases: readonly (readonly [object, string])[] = [
    [{}, "Cannot open memory: it must have tokenizer.json, or CLIP's vocab.json and merges.txt"],
    [{ "vocab.json": {} }, "it must have tokenizer.json, or CLIP's"],
    [{ "spiece.model": "x" }, "of spiece.model, SentencePiece's file, Python's transformers makes"],
    [{ "tokenizer.json": "{" }, "Cannot read tokenizer.json in memory: it must be JSON in UTF-8"],
    [{ "tokenizer.json": "[]" }, "Cannot read tokenizer.json in memory: it must be of type object"],
    [json({ model: { type: "WordPiece", vocab: {} } }), "model must be valid"],
    [json({ model: { ...SMALL.model, byte_fallback: true } }), "model must be valid"],
    [
      json({ normalizer: { type: "BertNormalizer" } }),
      "Cannot read normalizer of memory: type must",
    ],
    [json({ normalizer: { type: "Precompiled", precompiled_charsmap: "?" } }), "text in base 64"],
    [json({ normalizer: { type: "Precompiled", precompiled_charsmap: "/////w==" } }), "4 bytes"],
    [json({ normalizer: { type: "Replace", pattern: { Regex: "[" }, content: "" } }), "expression"],
    [json({ pre_tokenizer: { type: "Digits" } }), "Cannot read pre_tokenizer of memory: type must"],
    [
      json({ pre_tokenizer: { type: "Split", pattern: { String: "a" }, behavior: "Contiguous" } }),
      "behavior must be",
    ],
    [json({ post_processor: { type: "Other" } }), "post_processor.type must"],
    [
      json({ added_tokens: [{ id: 1, content: "a", single_word: true }] }),
      "single_word must be false",
    ],
    [
      { ...json({}), "tokenizer_config.json": { pad_token: "<p>" } },
      'must be one of its tokens: current value is "<p>"',
    ],
    [{ ...json({}), "tokenizer_config.json": {} }, "tokenizer_config.json must have pad_token"],
    [
      { ...json({}), "tokenizer_config.json": { pad_token: "<pad>" } },
      "model_max_length must be a whole number of at least 2: current value is absent",
    ],
    [
      { ...json({}), "tokenizer_config.json": { ...CONFIG, model_max_length: 1 } },
      "at least 2: current value is 1",
    ],
    [
      { ...json({}), "tokenizer_config.json": { ...CONFIG, padding_side: "left" } },
      'padding_side must be "right"',
    ],
    [
      { ...json({}), "tokenizer_config.json": "?" },
      "Cannot read tokenizer_config.json in memory: it must be JSON",
    ],
    [{ ...CLIP, "vocab.json": { a: 1 } }, "its vocabulary must have the token <|endoftext|>"],
    [{ ...CLIP, "vocab.json": { a: -1 } }, "Cannot read vocab.json in memory: model"],
    [
      { ...CLIP, "merges.txt": "a b\nab\n" },
      'merge 1 must be two tokens with a space between: current value is "ab"',
    ],
    [
      { ...CLIP, "tokenizer_config.json": { tokenizer_class: "GPT2Tokenizer" } },
      'read as CLIPTokenizer\'s: current value is "GPT2Tokenizer"',
    ],
    [{ ...CLIP, "special_tokens_map.json": "[" }, "Cannot read special_tokens_map.json in memory"],
  ];
  for (const [files, message] of cases) {
    await assertRejects(() => openTokenizer(folder({ ...files })), AssetError, message);
  }
});

Deno.test("openTokenizer() refuses a tokenizer whose numbers the encoder has no rows for", async () => {
  const files = folder({ "tokenizer.json": SMALL, "tokenizer_config.json": CONFIG });
  await openTokenizer(files, { vocabulary: 8 });
  await assertRejects(
    () => openTokenizer(files, { vocabulary: 7 }),
    AssetError,
    "Cannot use memory: its tokens must be below 7, the rows of the encoder's table: current value is 7",
  );
});
