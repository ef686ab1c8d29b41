import { assertEquals } from "@std/assert";
import { createHash } from "node:crypto";
import { openSafetensors } from "../../src/assets/formats/safetensors.ts";
import { openDirectory, type Source } from "../../src/assets/source.ts";
import { openSubfolder } from "../../src/assets/subfolder.ts";
import { normalizer } from "../../src/text/normalizer.ts";
import { openTokenizer, type PromptTokenizer } from "../../src/text/tokenizer.ts";
import { folder } from "./folder.ts";

const GOLDEN = new URL("../golden/tokenizers/", import.meta.url);
const PEEPS = new URL("../../../shared/models/peeps-flux/", import.meta.url);

interface Golden {
  readonly texts: readonly string[];
  readonly ids: readonly (readonly number[])[];
}

interface ClipGolden extends Golden {
  readonly vocab: unknown;
  readonly merges: readonly string[];
  readonly clip_l: object;
  readonly big_g: unknown;
  readonly fitted: readonly string[];
  readonly fitted_clip_l: readonly (readonly number[])[];
  readonly fitted_big_g: readonly (readonly number[])[];
}

interface T5Golden extends Golden {
  readonly tokenizer: { readonly normalizer: unknown };
  readonly config: object;
  readonly normalized_sha256: string;
}

interface StepsGolden {
  readonly texts: readonly string[];
  readonly cases: readonly {
    readonly tokenizer: { readonly normalizer: unknown; readonly pre_tokenizer: unknown };
    readonly ids: readonly (readonly number[])[];
  }[];
}

const clip = await read<ClipGolden>("clip");
const t5 = await read<T5Golden>("t5");

Deno.test("openTokenizer() gives the numbers of transformers' CLIPTokenizer for 1,060 texts, strange ones too", async () => {
  assertSame(await openTokenizer(clipFiles(endless(clip.clip_l)), { length: 20_000 }), clip);
});

Deno.test("openTokenizer() gives the numbers of Rust's tokenizers for a T5 tokenizer and the same texts", async () => {
  const files = folder({
    "tokenizer.json": t5.tokenizer,
    "tokenizer_config.json": endless(t5.config),
  });
  assertSame(await openTokenizer(files, { length: 20_000 }), t5);
});

Deno.test("openTokenizer() takes the steps of tokenizer.json as Rust's tokenizers does, CLIP's and T5's or not", async () => {
  const { texts, cases } = await read<StepsGolden>("steps");
  for (const { tokenizer, ids } of cases) {
    const files = folder({
      "tokenizer.json": tokenizer,
      "tokenizer_config.json": { pad_token: "<pad>" },
    });
    const { tokenize } = await openTokenizer(files, { length: 2_000 });
    for (const [i, text] of texts.entries()) {
      const { ids: found, tokens } = tokenize(text);
      const { normalizer, pre_tokenizer } = tokenizer;
      const thing = JSON.stringify([text, normalizer, pre_tokenizer]);
      assertEquals([...found.subarray(0, tokens)], ids[i], thing);
    }
  }
});

Deno.test("tokenize() pads and cuts as transformers does: CLIP-L with its end token, bigG with an exclamation mark", async () => {
  for (
    const [config, wanted] of [["clip_l", clip.fitted_clip_l], [
      "big_g",
      clip.fitted_big_g,
    ]] as const
  ) {
    const tokenizer = await openTokenizer(clipFiles(clip[config]));
    assertEquals(tokenizer.length, 77);
    for (const [i, text] of clip.fitted.entries()) {
      assertEquals(
        [...tokenizer.tokenize(text).ids],
        wanted[i],
        `${config}: ${JSON.stringify(text)}`,
      );
    }
  }
});

Deno.test("SentencePiece's table is applied to every character up to U+1FFFF as Rust applies it", () => {
  const normalize = normalizer(t5.tokenizer.normalizer, "normalizer");
  const codes = Array.from({ length: 0x20000 }, (_, code) => code)
    .filter((code) => (code < 0xd800 || code >= 0xe000) && code !== 13);
  const text = normalize(codes.map((code) => String.fromCodePoint(code)).join("\n"));
  assertEquals(createHash("sha256").update(text).digest("hex"), t5.normalized_sha256);
});

Deno.test({
  name: "openTokenizer() gives the numbers that a trained pipeline's golden prompts have",
  ignore: !await exists(new URL("golden/golden.json", PEEPS)),
  fn: async () => {
    const { prompts } = JSON.parse(
      await Deno.readTextFile(new URL("golden/golden.json", PEEPS)),
    ) as { readonly prompts: readonly string[] };
    const pipeline = openDirectory(PEEPS);
    const golden = await openSafetensors(pipeline, "golden/golden.safetensors");
    for (const [name, ids] of [["tokenizer", "clip.ids"], ["tokenizer_2", "t5.ids"]] as const) {
      const tokenizer = await openTokenizer(openSubfolder(pipeline, name));
      const found = prompts.flatMap((prompt) => [...tokenizer.tokenize(prompt).ids]);
      assertEquals(found, await golden.readIntegers(ids), name);
    }
    await pipeline.close();
  },
});

/** A configuration that allows texts of any length, as transformers writes it. */
function endless(config: object): object {
  return { ...config, model_max_length: 1e30 };
}

/** Every text that fits whole: its numbers are those stored, and so is how many they are. */
function assertSame(tokenizer: PromptTokenizer, { texts, ids }: Golden): void {
  assertEquals(texts.length >= 1000, true);
  for (const [i, text] of texts.entries()) {
    const { ids: found, tokens, omitted } = tokenizer.tokenize(text);
    const thing = JSON.stringify(text.slice(0, 100));
    assertEquals([...found.subarray(0, tokens)], ids[i], thing);
    assertEquals(omitted, 0, thing);
  }
}

function clipFiles(config: unknown): Source {
  return folder({
    "vocab.json": clip.vocab,
    "merges.txt": `#version: 0.2\n${clip.merges.join("\n")}\n`,
    "tokenizer_config.json": config,
  });
}

/** One of the two files that `scripts/golden/token_ids.py` writes. */
async function read<T>(name: string): Promise<T> {
  const file = await Deno.open(new URL(`${name}.json.gz`, GOLDEN));
  const text = file.readable.pipeThrough(new DecompressionStream("gzip"));
  return await new Response(text).json() as T; // our own file
}

async function exists(url: URL): Promise<boolean> {
  return await Deno.stat(url).then(() => true, () => false);
}
