/**
 * Pictures that begin from a picture, against diffusers' `FluxImg2ImgPipeline` and `FluxInpaintPipeline`: of
 * random weights, and of the package's default, whose integers diffusers computes from as numbers.
 */

import { assertEquals } from "@std/assert";
import { openSafetensors } from "../../src/assets/formats/safetensors.ts";
import { openDirectory } from "../../src/assets/source.ts";
import type { BackendName } from "../../src/backend/backend.ts";
import { openEngine } from "../../src/engine/engine.ts";
import type { EditOptions } from "../../src/engine/request_edit.ts";
import type { GenerateOptions } from "../../src/engine/request.ts";
import { readPicture } from "../../src/image/read_picture.ts";
import { sliceRows } from "../../src/tensor/rows.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { requires } from "../_shim/requires.ts";
import { assertClose, relativeError } from "../conformance/compare.ts";
import { golden } from "../image/golden_pictures.ts";
import { fluxPipelineFiles } from "./pipeline_files.ts";

const GOLDEN = new URL("../golden/", import.meta.url);
/** Both sides are float32; errors of up to 28 steps sum up. */
const TOLERANCE = { wasm: 1e-4, native: 1e-4, webgpu: 1e-3 } as const;

/** A model, where its texts and noise are, and how pictures are guided. */
interface Case {
  readonly name: string;
  readonly model: () => Promise<URL | Map<string, Uint8Array>>;
  readonly inputs: URL;
  readonly given: GenerateOptions;
  /** How many of the inputs are drawn. */
  readonly rows: number;
}

const CASES: readonly Case[] = [
  {
    name: "flux-a",
    model: fluxPipelineFiles,
    inputs: new URL("flux-a/", GOLDEN),
    given: { grid: [6, 4], guidance: 3.5 },
    rows: 2,
  },
  {
    name: "peeps-flux",
    model: () => Promise.resolve(new URL("../../models/peeps-flux/", import.meta.url)),
    inputs: new URL("peeps-flux/", GOLDEN),
    given: { grid: [16, 16], guidance: 3 },
    rows: 1,
  },
];

for (const backend of ["wasm", "native", "webgpu"] as const) {
  const options = await requires(
    `edits of FLUX on ${backend}`,
    ...backend === "wasm" ? [] : [backend],
  );
  for (const each of CASES) {
    if (each.name !== "flux-a" && backend === "webgpu") continue; // minutes without a graphics card
    Deno.test(
      `edits of ${each.name} are diffusers' on ${backend}`,
      options,
      () => compare(each, backend),
    );
  }
}

async function compare(
  { name, model, inputs, given, rows: count }: Case,
  backend: BackendName,
): Promise<void> {
  const source = openDirectory(inputs);
  const file = await openSafetensors(source, "golden.safetensors");
  const stored = openDirectory(new URL("flux-edits/", GOLDEN));
  const wanted = await openSafetensors(stored, `${name}.safetensors`);
  const engine = await openEngine({ backend, precision: "f32", model: await model() });
  try {
    const rows = async (tensor: string): Promise<Tensor> =>
      sliceRows(await file.readFloat32(tensor), 0, count);
    const texts = { text: await rows("text"), pooled: await rows("pooled") };
    const noise = await rows("noise");
    const image = await readPicture(await golden("source.png"));
    const mask = await readPicture(await golden("mask.png"));
    for (const [edit, options] of Object.entries(editsOf({ image, mask }))) {
      const run = { ...given, ...texts, noise, ...options, steps: 28, plan: "none" } as const;
      const { latents, kinds } = await engine.generate({ ...run, output: "latents" });
      assertEquals(kinds.length, options.strength === 1 ? 28 : 17);
      const reference = await wanted.readFloat32(edit);
      const error = relativeError(latents.data, reference.data);
      console.log(`${name} ${edit} on ${backend}: ${error.toExponential(1)} × max|reference|`);
      assertClose(latents, reference, { tolerance: TOLERANCE[backend], what: edit });
    }
  } finally {
    await engine.close();
    await source.close();
    await stored.close();
  }
}

function editsOf(
  { image, mask }: Required<Pick<EditOptions, "image" | "mask">>,
): Readonly<Record<string, EditOptions>> {
  return {
    "edit.0.6": { image, strength: 0.6 },
    "edit.1.0": { image, strength: 1 },
    "paint.0.6": { image, mask }, // 0.6 is the default
    "paint.1.0": { image, mask, strength: 1 },
  };
}
