/** The package's default against diffusers and transformers, which compute from what its integers stand for. */

import { assert, assertEquals } from "@std/assert";
import { openSafetensors, type Safetensors } from "../../src/assets/formats/safetensors.ts";
import { openDirectory } from "../../src/assets/source.ts";
import type { BackendName } from "../../src/backend/backend.ts";
import { openBackend } from "../../src/backend/select.ts";
import { type Engine, openEngine } from "../../src/engine/engine.ts";
import type { GenerateOptions } from "../../src/engine/request.ts";
import { EncoderGraphs } from "../../src/engine/text/encoder_graphs.ts";
import { toPictures } from "../../src/image/picture.ts";
import { openModel } from "../../src/model/open_model.ts";
import { openEncoder } from "../../src/text/open_encoder.ts";
import { openTokenizer } from "../../src/text/tokenizer.ts";
import { joinRows, sliceRows } from "../../src/tensor/rows.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { assertClose, relativeError } from "../conformance/compare.ts";
import { requires } from "../_shim/requires.ts";
import { forwardPass } from "./forward_pass.ts";

const PEEPS_FLUX = new URL("../../models/peeps-flux/", import.meta.url);
const GOLDEN = new URL("../golden/peeps-flux/", import.meta.url);

/**
 * Errors allowed, as shares of the largest reference number, and in levels of 255. Both sides are float32; a run
 * sums its steps' errors up, and on WebGPU exp, tanh and inverseSqrt may be several bits off as well.
 */
const ALLOWED: Readonly<
  Record<BackendName, { text: number; forward: number; sample: number; levels: number }>
> = {
  wasm: { text: 1e-4, forward: 2e-4, sample: 5e-4, levels: 2 },
  native: { text: 1e-4, forward: 2e-4, sample: 5e-4, levels: 2 },
  webgpu: { text: 1e-3, forward: 1e-3, sample: 1e-2, levels: 4 },
};

Deno.test("token ids of peeps-flux are transformers'", async () => {
  const model = await openModel(PEEPS_FLUX);
  await withGolden(async (file) => {
    for (const [folder, name] of [["tokenizer", "clip.ids"], ["tokenizer_2", "t5.ids"]] as const) {
      const tokenizer = await openTokenizer(model.directory!.openFolder(folder)!); // it has both
      const rows = promptsOf(file).map((prompt) => [...tokenizer.tokenize(prompt).ids]);
      assertEquals(rows.flat(), await file.readIntegers(name), name);
    }
  });
  await model.close();
});

for (const backend of ["wasm", "native", "webgpu"] as const) {
  const needs = backend === "wasm" ? [] : [backend];
  const options = await requires(`peeps-flux on ${backend}`, ...needs);
  const { text, forward, sample, levels } = ALLOWED[backend];
  const compare = (what: string, found: Tensor, wanted: Tensor, tolerance: number): void => {
    const error = relativeError(found.data, wanted.data);
    console.log(`peeps-flux ${what} on ${backend}: ${error.toExponential(1)} × max|reference|`);
    assertClose(found, wanted, { tolerance, what });
  };

  Deno.test(`text features of peeps-flux are transformers' on ${backend}`, options, async () => {
    await withGolden(async (file) => {
      compare("text", await encoded(backend, file, "t5"), await file.readFloat32("text"), text);
      const pooled = await encoded(backend, file, "clip");
      compare("pooled", pooled, await file.readFloat32("pooled"), text);
    });
  });

  Deno.test(
    `a forward pass, latents and pictures of peeps-flux are diffusers' on ${backend}`,
    options,
    async () => {
      await withGolden(async (file) => {
        const pipeline = await openEngine({ model: PEEPS_FLUX, backend, precision: "f32" });
        assertEquals(pipeline.precision.weights, "f32"); // what its model.json says
        const given = await givenBy(file);
        const times = [...(await file.readFloat32("forward.times")).data];
        const output = await forwardPass(pipeline, given, times);
        compare("forward", output, await file.readFloat32("forward.output"), forward);
        const rows = backend === "webgpu" ? 1 : 2; // for time's sake: pictures do not mix
        await comparePictures(pipeline, given, { file, rows, sample, levels, compare });
        await pipeline.close();
      });
    },
  );
}

async function comparePictures(
  pipeline: Engine,
  given: GenerateOptions,
  { file, rows, sample, levels, compare }: {
    readonly file: Safetensors;
    readonly rows: number;
    readonly sample: number;
    readonly levels: number;
    readonly compare: (what: string, found: Tensor, wanted: Tensor, tolerance: number) => void;
  },
): Promise<void> {
  const first = (tensor: Tensor | undefined): Tensor => sliceRows(tensor!, 0, rows); // all are given
  const { text: _, pooled: _2, ...rest } = given;
  const { latents } = await pipeline.generate({
    ...rest,
    noise: first(given.noise),
    prompts: promptsOf(file).slice(0, rows),
    steps: Number(file.metadata.get("steps")),
    plan: "none",
  });
  compare("28 steps", latents, first(await file.readFloat32("latents")), sample);
  const drawn = toPictures(await pipeline.decode(latents, { grid: [16, 16] }));
  const wanted = await file.readBytes("pictures"); // (2, 3, 128, 128)
  const off = drawn.map(({ pixels }, row) => {
    const size = 128 * 128;
    return pixels.reduce((most, level, i) => { // channels last here
      const reference = wanted[row * 3 * size + (i % 3) * size + Math.floor(i / 3)]!;
      return Math.max(most, Math.abs(level - reference));
    }, 0);
  });
  console.log(`peeps-flux pictures: ${off} levels of 255`);
  assert(Math.max(...off) <= levels, `pictures are off by ${off} levels`);
}

/** Features of the golden prompts, as FLUX takes them: the last states of T5, what CLIP has pooled. */
async function encoded(
  name: BackendName,
  file: Safetensors,
  kind: "t5" | "clip",
): Promise<Tensor> {
  const model = await openModel(PEEPS_FLUX);
  const { backend } = await openBackend({ backend: name });
  const part = kind === "t5" ? "text_encoder_2" : "text_encoder";
  const encoder = openEncoder((await model.directory!.openPart(part))!, part);
  const ids = await file.readIntegers(`${kind}.ids`);
  const length = ids.length / promptsOf(file).length;
  const texts = promptsOf(file).map((_, i) => ({ ids: ids.slice(i * length, (i + 1) * length) }));
  const output = kind === "t5" ? "last" : "pooled";
  const graphs = new EncoderGraphs(backend, encoder);
  const rows = await graphs.encode(texts, { outputs: [output], sessions: "freed" });
  await backend.dispose();
  await model.close();
  return joinRows(rows.map((row) => row[output]!)); // it was asked for
}

async function givenBy(
  file: Safetensors,
): Promise<GenerateOptions & { readonly guidance: number }> {
  return {
    noise: await file.readFloat32("noise"),
    text: sliceRows(await file.readFloat32("text"), 0, 2),
    pooled: sliceRows(await file.readFloat32("pooled"), 0, 2),
    grid: [16, 16],
    guidance: Number(file.metadata.get("guidance")),
  };
}

function promptsOf(file: Safetensors): readonly string[] {
  return JSON.parse(file.metadata.get("prompts")!); // the script writes it
}

async function withGolden(use: (file: Safetensors) => Promise<void>): Promise<void> {
  const source = openDirectory(GOLDEN);
  try {
    await use(await openSafetensors(source, "golden.safetensors"));
  } finally {
    await source.close();
  }
}
