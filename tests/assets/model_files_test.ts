import { assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { openModelDirectory } from "../../src/assets/model_dir.ts";
import { modelFiles } from "../../src/assets/model_files.ts";
import { openMemory, type Source } from "../../src/assets/source.ts";
import { AssetError } from "../../src/errors.ts";
import { file, ramp } from "./files.ts";
import { checkpoint } from "./formats/zips.ts";

const STEM = "diffusion_pytorch_model";
const NUMBERS = { dims: [2], data: ramp(2) };
const SAFE = file({ x: NUMBERS });
const TORCH = checkpoint(
  new Map([["x", {
    storage: "FloatStorage",
    dims: [2],
    bytes: new Uint8Array(ramp(2).buffer),
    width: 4,
  }]]),
);

function json(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

/** Files that can lie in a folder of a model; a shard has all that its index names. */
const IN_FOLDER: Readonly<Record<string, Uint8Array>> = {
  "config.json": json({ a: 1 }),
  [`${STEM}.safetensors`]: SAFE,
  [`${STEM}.fp16.safetensors`]: SAFE,
  [`${STEM}.bf16.safetensors`]: SAFE,
  [`${STEM}.safetensors.index.json`]: json({ weight_map: { x: "s-00001-of-00001.safetensors" } }),
  "s-00001-of-00001.safetensors": SAFE,
  [`${STEM}.safetensors.index.fp16.json`]: json({
    weight_map: { x: "s.fp16-00001-of-00001.safetensors" },
  }),
  "s.fp16-00001-of-00001.safetensors": SAFE,
  [`${STEM}.bin`]: TORCH,
  [`${STEM}.bin.index.json`]: json({ weight_map: { x: "s-00001-of-00001.bin" } }),
  "s-00001-of-00001.bin": TORCH,
  "flux.sft": SAFE,
  "ema.pt": TORCH,
  "README.md": json("read me"),
};

const PIPELINE: Readonly<Record<string, Uint8Array>> = {
  "model_index.json": json({
    _class_name: "AnyPipeline",
    transformer: ["diffusers", "Any"],
    vae: ["diffusers", "AnyVae"],
    scheduler: ["diffusers", "AnyScheduler"],
    text_encoder: ["transformers", "AnyEncoder"],
    text_encoder_2: ["transformers", "AnyEncoder"], // left out
    tokenizer: ["transformers", "AnyTokenizer"],
    tokenizer_2: ["transformers", "AnyTokenizer"],
  }),
  "flux1-dev.safetensors": SAFE,
  "text_encoder/config.json": json({}),
  "text_encoder/model.safetensors": SAFE,
  "tokenizer/vocab.json": json({}),
  "tokenizer/merges.txt": json("merges"),
  "tokenizer/added_tokens.json": json({}),
  "tokenizer_2/tokenizer.json": json({}),
  "transformer/config.json": json({ b: 2 }),
  [`transformer/${STEM}.safetensors.index.json`]: IN_FOLDER[`${STEM}.safetensors.index.json`]!,
  "transformer/s-00001-of-00001.safetensors": SAFE,
  "vae/config.json": json({ c: 3 }),
  [`vae/${STEM}.bin`]: TORCH,
  [`vae/${STEM}.fp16.safetensors`]: SAFE,
  [`vae/${STEM}.safetensors`]: SAFE,
  "scheduler/scheduler_config.json": json({ d: 4 }),
};

function memory(files: Readonly<Record<string, Uint8Array>>): Source {
  return openMemory(new Map(Object.entries(files)));
}

Deno.test("modelFiles() of a pipeline names its parts, their tokenizers and the scheduler, each number once", async () => {
  assertEquals(await modelFiles(memory(PIPELINE)), [
    "model_index.json",
    "transformer/config.json",
    `transformer/${STEM}.safetensors.index.json`,
    "transformer/s-00001-of-00001.safetensors",
    "vae/config.json",
    `vae/${STEM}.safetensors`,
    "text_encoder/config.json",
    "text_encoder/model.safetensors",
    "tokenizer/vocab.json",
    "tokenizer/merges.txt",
    "tokenizer_2/tokenizer.json",
    "scheduler/scheduler_config.json",
  ]);
});

Deno.test("modelFiles() names the files of tokenizers that are there", async () => {
  const index = json({
    _class_name: "AnyPipeline",
    transformer: ["diffusers", "Any"],
    tokenizer: ["transformers", "CLIPTokenizer"],
    tokenizer_2: ["transformers", "T5Tokenizer"],
  });
  const files = await modelFiles(memory({
    ...PIPELINE,
    "model_index.json": index,
    "tokenizer/vocab.json": json({}),
    "tokenizer/merges.txt": json({}),
    "tokenizer/README.md": json({}),
    "tokenizer_2/tokenizer.json": json({}),
    "tokenizer_2/tokenizer_config.json": json({}),
    "tokenizer_3/tokenizer.json": json({}), // no part, says the index
  }));
  assertEquals(files.filter((path) => path.startsWith("tokenizer")), [
    "tokenizer/vocab.json",
    "tokenizer/merges.txt",
    "tokenizer_2/tokenizer.json",
    "tokenizer_2/tokenizer_config.json",
  ]);
});

Deno.test("modelFiles() names the file that was asked for and the descriptions beside it", async () => {
  const files = { ...PIPELINE, "config.json": json({}), "scheduler_config.json": json({}) };
  assertEquals(await modelFiles(memory(files), { file: "flux1-dev.safetensors" }), [
    "config.json",
    "flux1-dev.safetensors",
    "scheduler_config.json",
  ]);
});

Deno.test("modelFiles() of a packed model names its manifest, and its VAE where it has one", async () => {
  const manifest = {
    ...{ format: 1, id: "a", architecture: "dit", config: {}, classNames: [] },
    sampler: { name: "ddim", steps: 50, guidance: 2 },
    ...{ licence: "MIT", dataNotice: "none", sha256: {} },
  };
  const files = { "model.json": json(manifest), "weights.safetensors": SAFE };
  assertEquals(await modelFiles(memory(files)), ["model.json", "weights.safetensors"]);
  const vae = ["vae/config.json", `vae/${STEM}.safetensors`];
  const packed = { ...files, ...Object.fromEntries(vae.map((path) => [path, PIPELINE[path]!])) };
  assertEquals(await modelFiles(memory(packed)), ["model.json", "weights.safetensors", ...vae]);
});

Deno.test("modelFiles() reads no weights, and lets a description be refused before they are looked for", async () => {
  const source = memory(PIPELINE);
  const reads: string[] = [];
  const watched: Source = {
    ...source,
    read: (path, range) => (reads.push(path), source.read(path, range)),
  };
  await modelFiles(watched);
  assertEquals(reads.filter((path) => !path.endsWith(".json")), []);
  const seen: unknown[] = [];
  await modelFiles(memory(PIPELINE), { checkDescription: (json) => void seen.push(json) });
  assertEquals(seen[1], { b: 2 }); // after the index
  const refuse = (): never => {
    throw new AssetError("Cannot open it: of no use");
  };
  await assertRejects(
    () => modelFiles(memory({ "config.json": json({}) }), { checkDescription: refuse }),
    AssetError,
    "of no use",
  );
});

/** Opens everything that a model has, and says what went wrong where something did. */
async function opened(files: Readonly<Record<string, Uint8Array>>): Promise<unknown> {
  try {
    const model = await openModelDirectory(new Map(Object.entries(files)));
    const vae = await model.openPart("vae");
    const scheduler = await model.readScheduler();
    const weights = [model.weights, ...(vae === undefined ? [] : [vae.weights])];
    const numbers = await Promise.all(weights.map((part) => part.read("x")));
    return { id: model.id, config: model.config, vae: vae?.config, scheduler, numbers };
  } catch (error) {
    if (error instanceof AssetError) return error.message;
    throw error;
  }
}

Deno.test("what modelFiles() names opens as the whole folder does, whatever lies in that", async () => {
  const inFolder = fc.subarray(Object.keys(IN_FOLDER));
  const pipeline = fc.tuple(inFolder, inFolder).map(([transformer, vae]) => ({
    "model_index.json": PIPELINE["model_index.json"]!,
    "scheduler/scheduler_config.json": json({ d: 4 }),
    ...Object.fromEntries(transformer.map((name) => [`transformer/${name}`, IN_FOLDER[name]!])),
    ...Object.fromEntries(vae.map((name) => [`vae/${name}`, IN_FOLDER[name]!])),
  }));
  const flat = inFolder.map((names) => Object.fromEntries(names.map((n) => [n, IN_FOLDER[n]!])));
  const property = fc.asyncProperty(fc.oneof(flat, pipeline), async (files) => {
    const whole = await opened(files);
    const named = await modelFiles(memory(files)).catch((error: Error) => error.message);
    if (typeof named === "string") return assertEquals(typeof whole, "string"); // refused as well
    const needed = Object.entries(files).filter(([path]) => named.includes(path));
    assertEquals(await opened(Object.fromEntries(needed)), whole);
  });
  await fc.assert(property, { seed: 20_261_128, numRuns: 500 });
});
