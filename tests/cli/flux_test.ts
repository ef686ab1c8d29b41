import { promptFiles } from "../engine/text/prompt_pipeline.ts";
import { assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { readGiven } from "../../src/cli/conditions.ts";
import { AssetError } from "../../src/errors.ts";
import { normalNoise } from "../../src/tensor/random.ts";
import { FASHION_DIT } from "../fashion_dit.ts";
import { openSafetensors, type Safetensors } from "../../src/assets/formats/safetensors.ts";
import {
  encodeSafetensors,
  type WritableTensor,
} from "../../src/assets/formats/safetensors_writer.ts";
import { openDirectory } from "../../src/assets/source.ts";
import { sliceRows } from "../../src/tensor/rows.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { joinBytes } from "../../src/tensor/bytes.ts";
import { assertClose } from "../conformance/compare.ts";
import { capturedRun, namesIn, withFolder } from "./captured_run.ts";

const FLUX_A = new URL("../golden/flux-a/", import.meta.url);
const MODEL = FLUX_A.pathname;
const BOOK = new URL("../golden/books/flux-a-published/", import.meta.url);
const FASHION = ["--model", FASHION_DIT.pathname];
const WASM = ["--backend", "wasm", "--threads", "1"];

/** Two golden pictures as a file of conditions. */
async function writeConditions(
  path: string,
  change: Record<string, WritableTensor> = {},
): Promise<void> {
  await withFile(FLUX_A, "golden.safetensors", async (file) => {
    const tensors = new Map<string, WritableTensor>();
    for (const name of ["noise", "text", "pooled"]) {
      tensors.set(name, sliceRows(await file.readFloat32(name), 0, 2));
    }
    const { dims, data } = await file.readFloat32("image_ids");
    tensors.set("image_ids", { dtype: "I64", dims, data: [...data] });
    for (const [name, tensor] of Object.entries(change)) tensors.set(name, tensor);
    await Deno.writeFile(path, joinBytes([...encodeSafetensors(tensors)]));
  });
}

Deno.test("plan import, bind and show, and generate take FLUX as they take DiT", async () => {
  await withFolder(async (folder) => {
    const [conditions, plan, latents] = ["c.safetensors", "p.json", "l.safetensors"]
      .map((name) => `${folder}/${name}`) as [string, string, string];
    await writeConditions(conditions);
    const imported = await capturedRun(
      ...["plan", "import", `${BOOK.pathname}cache_books.json`, "--sampler", "flow-euler"],
      ...["--steps", "28", "--grid", "6x4", "--model", MODEL, "--out", plan],
    );
    assertEquals([imported.code, imported.stdout], [0, `wrote ${plan} (bound)\n`], imported.stderr);
    const shown = await capturedRun("plan", "show", plan, "--model", MODEL);
    assertEquals(shown.code, 0, shown.stderr);
    assertStringIncludes(shown.stdout, "flux, 12 modules, flow-euler, 28 steps");
    assertStringIncludes(shown.stdout, "single_transformer_blocks.2.mlp");
    assertMatch(shown.stdout, /predicted for flux-a/);
    const run = await capturedRun(
      ...["generate", "--model", MODEL, "--conditions", conditions, "--plan", plan, ...WASM],
      ...["--latents", latents, "--json"],
    );
    assertEquals(run.code, 0, run.stderr);
    const report = JSON.parse(run.stdout);
    assertEquals([report.labels, report.guidance, report.steps], [[0, 1], 3.5, 28]);
    const [ours, wanted] = [
      await readTensor(latents, "latents"),
      await readTensor(`${BOOK.pathname}cached.safetensors`, "sample.cached"),
    ];
    assertClose(ours, wanted, { tolerance: 1e-3, what: "latents" }); // as the golden test
  });
});

Deno.test("compare measures a plan of FLUX against the full run, pictures unpacked", async () => {
  await withFolder(async (folder) => {
    const [conditions, plan] = [`${folder}/c.safetensors`, `${folder}/p.json`];
    await writeConditions(conditions);
    await capturedRun(
      ...["plan", "import", `${BOOK.pathname}cache_books.json`, "--sampler", "flow-euler"],
      ...["--steps", "28", "--grid", "6x4", "--model", MODEL, "--out", plan],
    );
    const { code, stdout, stderr } = await capturedRun(
      ...["compare", "--model", MODEL, "--conditions", conditions, "--plan", plan, ...WASM],
      ...["--rounds", "1"],
    );
    assertEquals(code, 0, stderr);
    assertMatch(stdout, /^kept +(\d+) bytes at peak, \1 predicted$/m);
    assertMatch(stdout, /^SSIM +0\.\d+ on average/m);
  });
});

Deno.test("commands refuse a FLUX without text, a picture of it, and conditions that do not fit", async () => {
  await withFolder(async (folder) => {
    const conditions = `${folder}/c.safetensors`;
    const out = ["--latents", `${folder}/l.safetensors`];
    const refuses = async (words: readonly string[], message: string): Promise<void> => {
      const { code, stdout, stderr } = await capturedRun(...words);
      assertEquals([code !== 0, stdout], [true, ""]);
      assertStringIncludes(stderr, message);
    };
    const generate = ["generate", "--model", MODEL, ...WASM];
    await refuses([...generate, ...out], "text and pooled must be given to flux-a");
    await writeConditions(conditions);
    const given = [...generate, "--conditions", conditions];
    await refuses(
      [...given, "--out", `${folder}/a.png`],
      "must have 1 or 3 channels, others need an autoencoder",
    );
    await refuses(
      ["calibrate", "--model", MODEL, ...WASM, "--out", `${folder}/p.json`],
      "conditions must be given, since flux-a is a text-conditioned model",
    );
    const wide: Tensor = { dims: [2, 5, 25], data: new Float32Array(250) };
    await writeConditions(conditions, { text: wide });
    await refuses([...given, ...out], "text must be (n, M, 24): current value is [2,5,25]");
    const fewer: Tensor = { dims: [3, 5, 24], data: new Float32Array(360) };
    await writeConditions(conditions, { text: fewer });
    await refuses([...given, ...out], "text must have 2 rows, as noise has: current value is 3");
    assertEquals(await namesIn(folder), ["c.safetensors"]);
  });
});

Deno.test("beside prompts a file may hold noise alone, a picture for each row; without them it needs labels", async () => {
  await withFolder(async (folder) => {
    const [path, whole] = [`${folder}/noise.safetensors`, `${folder}/c.safetensors`];
    const noise = new Map([["noise", normalNoise([3, 24, 16], 1)]]);
    await Deno.writeFile(path, joinBytes([...encodeSafetensors(noise)]));
    const { noise: read, count, conditions } = await readGiven(path, { isPrompted: true });
    assertEquals([read?.dims, count, conditions], [[3, 24, 16], 3, {}]);
    await assertRejects(() => readGiven(path, { isPrompted: false }), AssetError, "label");
    await writeConditions(whole);
    const { conditions: texts, labels } = await readGiven(whole, { isPrompted: true });
    assertEquals([Object.keys(texts!), labels], [["text", "pooled", "image_ids"], undefined]);
  });
});

Deno.test("generate refuses prompts that a model cannot take, before its sessions are loaded", async () => {
  const cases: readonly (readonly [readonly string[], string])[] = [
    [["--model", MODEL, "--prompt", "a cat"], "flux-a has no text encoder"],
    [
      [...FASHION, "--prompt", "a sneeker"],
      "fashion-dit knows classes and no words; label instead of prompt must be an index in 0 … 9 " +
      "or one of 10 names such as Sneaker",
    ],
    [[...FASHION, "--label", "Bag", "--negative-prompt", "x"], "nothing negative must be given"],
    [[...FASHION, "--true-guidance", "2"], "trueGuidance must be at most 1 where guidance takes"],
    [["--model", MODEL, "--label", "1", "--prompt", "a"], "labels must not be given together with"],
    [["--model", MODEL, "--prompt2", "a"], "prompt2 must be given together with prompt"],
    [
      ["--model", MODEL, "--prompt", "a", "--prompt2", "b", "--prompt2", "c"],
      "one for each prompt",
    ],
    [["--model", MODEL, "--prompt", "a\ud83d"], "a text of whole characters"],
  ];
  for (const [words, message] of cases) {
    const { code, stdout, stderr } = await capturedRun(
      "generate",
      ...WASM,
      "--latents",
      "l.safetensors",
      ...words,
    );
    assertEquals([code, stdout], [2, ""], stderr);
    assertStringIncludes(stderr, message);
  }
});

Deno.test("generate says that a model of text wants text, whatever labels are given", async () => {
  const { code, stderr } = await capturedRun(
    ...["generate", "--model", MODEL, "--label", "cat", "--latents", "l.safetensors"],
  );
  assertEquals(code, 2);
  assertStringIncludes(stderr, "text and pooled must be given to flux-a");
});

Deno.test("doctor says what the text encoders and both halves of the autoencoder of a model take, or why there are none", async () => {
  const folder = await Deno.makeTempDir();
  const write = async (files: ReadonlyMap<string, Uint8Array>): Promise<void> => {
    for (const [path, bytes] of files) {
      await Deno.mkdir(`${folder}/${path}`.replace(/[^/]*$/, ""), { recursive: true });
      await Deno.writeFile(`${folder}/${path}`, bytes);
    }
  };
  await write(await promptFiles());
  const { code, stdout } = await capturedRun("doctor", "--model", folder);
  assertEquals(code, 0);
  assertMatch(stdout, /^prompts +CLIP 0\.2 MiB in 4 graphs, T5 0\.1 MiB in 3 graphs; at most /m);
  assertMatch(stdout, /^pictures +decoder 0\.\d MiB in \d+ graphs, .*; encoder 0\.\d MiB in /m);
  const other = new TextEncoder().encode(JSON.stringify({ architectures: ["Other"] }));
  await write(new Map([["text_encoder/config.json", other]]));
  const refused = await capturedRun("doctor", "--model", folder);
  assertMatch(refused.stdout, /^prompts +none: Cannot open .*: its class must be CLIPTextModel, /m);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("doctor says before loading what of a model fits on which backend, and refuses other options", async () => {
  const { code, stdout } = await capturedRun("doctor", "--model", MODEL);
  assertEquals(code, 0);
  assertMatch(stdout, /^model +flux-a: 0\.3 MiB of weights, 14 graphs, at most /m);
  assertMatch(stdout, /^on wasm +fits: about /m);
  assertMatch(stdout, /^on native +fits: about /m);
  const { stdout: json } = await capturedRun("doctor", "--model", MODEL, "--json");
  const report = JSON.parse(json);
  assertMatch(report.model, /^flux-a: 0\.3 MiB of weights/);
  assertMatch(report["on wasm"], /^fits: about /);
  const refused = await capturedRun("doctor", "--models");
  assertEquals(refused.code, 2);
  assertStringIncludes(refused.stderr, "--models is none of its options; the nearest is --model");
});

async function readTensor(path: string, name: string): Promise<Tensor> {
  const folder = path.slice(0, path.lastIndexOf("/") + 1);
  return await withFile(folder, path.slice(folder.length), (file) => file.readFloat32(name));
}

async function withFile<T>(
  directory: string | URL,
  name: string,
  read: (file: Safetensors) => Promise<T>,
): Promise<T> {
  const source = openDirectory(directory);
  try {
    return await read(await openSafetensors(source, name));
  } finally {
    await source.close();
  }
}
