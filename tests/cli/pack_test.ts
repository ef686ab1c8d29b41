import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { pack } from "../../src/cli/pack.ts";
import { dirname } from "node:path";
import { openModelDirectory } from "../../src/assets/model_dir.ts";
import type { Weights } from "../../src/assets/weights.ts";
import { normalNoise } from "../../src/tensor/random.ts";
import { file } from "../assets/files.ts";
import { openModel } from "../../src/model/open_model.ts";
import { fluxPipelineFiles } from "../engine/pipeline_files.ts";
import { capturedRun, namesIn, withFolder } from "./captured_run.ts";
import { onFashionDit } from "../fashion_dit.ts";

const DIT_A = new URL("../golden/dit-a/", import.meta.url).href;

Deno.test("pack writes a directory that generate opens, with the plans of its source", async () => {
  await withFolder(async (folder) => {
    const out = `${folder}/packed`;
    const packed = await capturedRun(
      ...onFashionDit(["pack", "--weights", "int8", "--out", out]),
    );
    assertEquals(packed.code, 0, packed.stderr);
    assertMatch(
      packed.stdout,
      /^weights int8 in 63 of 67 tensors of two axes or more, rounding.*\nin floats .*fewer than 16,384 numbers: .*x_embedder.*\nwrote .*packed \([\d.]+ MiB, \d+ bytes\)\n$/,
    );
    assertEquals(namesIn(folder), ["packed"]);
    const json = await capturedRun("pack", "--model", DIT_A, "--out", `${folder}/a`, "--json");
    const { model, weights, bytes, files } = JSON.parse(json.stdout);
    assertEquals([model, weights, files], ["dit-a", "int8", [`${folder}/a`]]);
    assert(bytes > 1000);
    assertEquals(namesIn(out), ["model.json", "weights.safetensors"]);
    const draw = (...more: string[]): ReturnType<typeof capturedRun> =>
      capturedRun(
        "generate",
        "--label",
        "Bag",
        "--backend",
        "wasm",
        "--plan",
        "fashion-dit.ddim25.fast",
        ...onFashionDit(more),
      );
    const [a, b] = [`${folder}/a.safetensors`, `${folder}/b.safetensors`];
    const fromPacked = await draw("--model", out, "--latents", a);
    assertEquals(fromPacked.code, 0, fromPacked.stderr);
    assertStringIncludes(fromPacked.stdout, "weights      int8 in 48 of 48 layers, as packed");
    assertStringIncludes(
      fromPacked.stderr,
      "note: The plan was made for precision float32; this run has int8",
    );
    assertEquals((await draw("--model", out, "--weights", "int8", "--latents", b)).code, 0);
    assertEquals(await Deno.readFile(a), await Deno.readFile(b)); // said as well as packed
  });
});

Deno.test("a picture of int8 weights says so and is repeated in int8", async () => {
  await withFolder(async (folder) => {
    const [first, second] = [`${folder}/1.png`, `${folder}/2.png`];
    const asked = ["--backend", "wasm", "--out"];
    const options = ["--label", "Bag", "--steps", "2", "--plan", "none", "--weights", "int8"];
    assertEquals(
      (await capturedRun("generate", ...onFashionDit(options), ...asked, first)).code,
      0,
    );
    const again = await capturedRun(
      ...onFashionDit(["generate", "--from", first]),
      ...asked,
      second,
    );
    assertStringIncludes(again.stdout, "weights      int8");
    assertEquals(await Deno.readFile(second), await Deno.readFile(first));
  });
});

Deno.test("pack leaves nothing behind when it is interrupted or fails", async () => {
  await withFolder(async (folder) => {
    const stopped = await pack(
      { model: DIT_A, out: `${folder}/a`, weights: "int8", json: false, quiet: false },
      AbortSignal.abort(),
    )
      .then(
        () => "",
        (error: Error) => error.name,
      );
    assertEquals(stopped, "AbortError");
    assertEquals(namesIn(folder), []);
    const packed = `${folder}/a`;
    assertEquals((await capturedRun("pack", "--model", DIT_A, "--out", packed)).code, 0);
    const refused = await capturedRun("pack", "--model", packed, "--out", `${folder}/b`);
    assertEquals(refused.code, 3);
    assertStringIncludes(refused.stderr, "its weights must be floats: current value is int8");
    assertEquals(namesIn(folder), ["a"]);
  });
});

Deno.test("pack writes a FLUX pipeline, all parts of it, that opens with the source's fingerprint", async () => {
  await withFolder(async (folder) => {
    const [source, out] = [`${folder}/flux`, `${folder}/packed`];
    const files = [...await fluxPipelineFiles(), ...Object.entries(ENCODER_FILES)];
    for (const [path, bytes] of files) {
      await Deno.mkdir(dirname(`${source}/${path}`), { recursive: true });
      await Deno.writeFile(`${source}/${path}`, bytes);
    }
    const packed = await capturedRun("pack", "--model", source, "--out", out);
    assertEquals(packed.code, 0, packed.stderr);
    const parts = ["model.json", "text_encoder", "tokenizer", "vae", "weights.safetensors"];
    assertEquals(namesIn(out), parts);
    assertEquals(namesIn(`${out}/tokenizer`), ["merges.txt", "vocab.json"]);
    const [original, model] = [await openModelDirectory(source), await openModelDirectory(out)];
    for (const name of ["vae", "text_encoder"]) {
      const [of, as] = [await original.openPart(name), await model.openPart(name)];
      assertEquals(as!.config, of!.config);
      assertEquals(as!.weights.names, of!.weights.names);
      for (const tensor of of!.weights.names) {
        await expectNear(as!.weights, of!.weights, tensor);
      }
    }
    const { weights } = (await model.openPart("text_encoder"))!;
    assertEquals([...weights.quantized!.names].sort(), ["layers.0.fc.weight", "table.weight"]);
    for (const { close } of [original, model]) await close();
    const [before, after] = [await openModel(source), await openModel(out)];
    assertEquals(await after.fingerprint(), await before.fingerprint());
    for (const { close } of [before, after]) await close();
  });
});

/** A text encoder and its tokenizer: what the packer needs to know of them. */
const ENCODER_FILES: Readonly<Record<string, Uint8Array>> = {
  "model_index.json": new TextEncoder().encode(JSON.stringify({
    _class_name: "FluxPipeline",
    ...{
      transformer: ["diffusers", "FluxTransformer2DModel"],
      vae: ["diffusers", "AutoencoderKL"],
    },
    ...{ text_encoder: ["transformers", "Any"], tokenizer: ["transformers", "Any"] },
    text_encoder_2: ["transformers", "Any"], // left out
  })),
  "text_encoder/config.json": new TextEncoder().encode('{"vocab_size":300}'),
  "text_encoder/model.safetensors": file({
    "table.weight": normalNoise([300, 64], 1),
    "position.weight": normalNoise([8, 64], 2), // too small to pay
    "layers.0.fc.weight": normalNoise([128, 64], 3), // a layer of a block
    "layers.0.fc.bias": normalNoise([128], 4),
  }),
  "tokenizer/merges.txt": new TextEncoder().encode("merges"),
  "tokenizer/vocab.json": new TextEncoder().encode("{}"),
  "tokenizer/special.bin": new Uint8Array(3), // nobody reads it
};

/** Equal where it is in floats, else within half of a step of 127, of a row's largest number. */
async function expectNear(packed: Weights, source: Weights, name: string): Promise<void> {
  const [{ dims, data }, wanted] = [await packed.read(name), await source.read(name)];
  assertEquals(dims, wanted.dims);
  if (!packed.quantized!.names.has(name)) return assertEquals(data, wanted.data);
  const width = data.length / dims[0]!;
  for (let row = 0; row < dims[0]!; row++) {
    const [a, b] = [data, wanted.data].map((all) => all.subarray(row * width, (row + 1) * width));
    const largest = b!.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    assert(a!.every((value, i) => Math.abs(value - b![i]!) <= 0.501 * largest / 127));
  }
}

Deno.test("pack refuses a folder that is there, a precision that is not, and no folder", async () => {
  await withFolder(async (folder) => {
    const there = await capturedRun("pack", "--model", DIT_A, "--out", folder);
    assertEquals([there.code, there.stdout], [3, ""]);
    assertStringIncludes(there.stderr, "it must not exist");
    const unknown = await capturedRun("pack", "--out", `${folder}/a`, "--weights", "f8");
    assertEquals(unknown.code, 2);
    assertStringIncludes(unknown.stderr, "--weights");
    const nowhere = await capturedRun("pack");
    assertEquals(nowhere.code, 2);
    assertStringIncludes(
      nowhere.stderr,
      "--out must be given (DIR: to write; it must not exist)",
    );
  });
});

Deno.test("an unknown precision is refused by generate, compare, calibrate and serve", async () => {
  for (const command of ["generate", "compare", "calibrate", "serve"]) {
    const given = command === "calibrate" ? ["--out", "never.json"] : [];
    const { code, stderr } = await capturedRun(command, "--weights", "int3", ...given);
    assertEquals(code, 2, command);
    assertStringIncludes(stderr, "--weights");
  }
});
