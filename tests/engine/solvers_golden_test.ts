/** Latents of whole models under diffusers' schedulers: see `scripts/golden/solvers.py`. */

import { openSafetensors, type Safetensors } from "../../src/assets/formats/safetensors.ts";
import { openDirectory, openMemory, type Source } from "../../src/assets/source.ts";
import { openEngine } from "../../src/engine/engine.ts";
import type { GenerateOptions } from "../../src/engine/request.ts";
import { sliceRows } from "../../src/tensor/rows.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { requires } from "../_shim/requires.ts";
import { assertClose } from "../conformance/compare.ts";
import { FASHION_DIT } from "../fashion_dit.ts";
import { bytesOf } from "./pipeline_files.ts";

const GOLDEN = new URL("../golden/", import.meta.url);
const PEEPS_FLUX = new URL("../../models/peeps-flux/", import.meta.url);
/** Pictures of each golden. */
const ROWS = 2;

/** Name in the golden, the solver in our words, and calls of the model. */
const NOISE_RUNS: readonly (readonly [string, string, number])[] = [
  ["unipc", "unipc", 10],
  ["dpmpp-3m.log-snr", "dpmpp-3m:log-snr", 12],
  ["deis-3.trailing", "deis-3:trailing", 10],
  ["heun", "heun", 11],
];
const FLOW_RUNS: readonly (readonly [string, string, number])[] = [
  ["flow-unipc", "unipc", 10],
  ["flow-dpmpp-2m", "dpmpp-2m", 10],
];
/** Diffusers' scheduler of Heun's method shifts all sigmas alike, so the model says so of itself. */
const HEUN = { _class_name: "FlowMatchHeunDiscreteScheduler", shift: 1 };
const PEEPS_RUNS = ["euler", "heun", "dpmpp-2m", "unipc"]
  .map((sampler) => [`flow-${sampler}`, sampler, 9] as const);

for (const backend of ["wasm", "native"] as const) {
  const needs = backend === "wasm" ? [] : [backend];
  const options = await requires(`solvers on ${backend}`, ...needs);
  for (
    const [name, model, guidance] of [
      ["dit-a", new URL("dit-a/", GOLDEN), 4],
      ["fashion-dit", FASHION_DIT, 2],
    ] as const
  ) {
    Deno.test(
      `latents of ${name} under every solver are diffusers' on ${backend}`,
      options,
      async () => {
        await using file = await golden(name);
        const labels = (await file.readIntegers("sample.label")).slice(0, ROWS);
        const noise = sliceRows(await file.readFloat32("sample.noise"), 0, ROWS);
        await check(name, { backend, model, runs: NOISE_RUNS, given: { labels, noise, guidance } });
      },
    );
  }
  Deno.test(
    `latents of flux-a under every solver are diffusers' on ${backend}`,
    options,
    async () => {
      await using file = await golden("flux-a");
      const given = {
        text: sliceRows(await file.readFloat32("text"), 0, ROWS),
        pooled: sliceRows(await file.readFloat32("pooled"), 0, ROWS),
        imageIds: await file.readFloat32("image_ids"),
        noise: sliceRows(await file.readFloat32("noise"), 0, ROWS),
        guidance: 3.5,
      };
      const model = new URL("flux-a/", GOLDEN);
      await check("flux-a", { backend, model, runs: FLOW_RUNS, given });
      const heun = openMemory(await filesWith(model, HEUN));
      await check("flux-a", { backend, model: heun, runs: [["flow-heun", "heun", 9]], given });
    },
  );
  Deno.test(
    `latents of peeps-flux under every solver are diffusers' on ${backend}`,
    options,
    async () => {
      await using file = await golden("peeps-flux");
      const first = async (name: string): Promise<Tensor> =>
        sliceRows(await file.readFloat32(name), 0, 1);
      const given = {
        text: await first("text"),
        pooled: await first("pooled"),
        noise: await first("noise"),
        grid: [16, 16],
        guidance: Number(file.metadata.get("guidance")),
      };
      await check("peeps-flux", { backend, model: PEEPS_FLUX, runs: PEEPS_RUNS, given });
    },
  );
}

async function check(name: string, { backend, model, runs, given }: {
  readonly backend: "wasm" | "native";
  readonly model: URL | Source;
  readonly runs: typeof NOISE_RUNS;
  readonly given: GenerateOptions;
}): Promise<void> {
  await using file = await golden("solvers", "models.safetensors");
  const engine = await openEngine({ backend, precision: "f32", model });
  try {
    for (const [run, sampler, steps] of runs) {
      const options = { ...given, sampler, steps, output: "latents" } as const;
      const { latents } = await engine.generate({ ...options, plan: "none" });
      const wanted = await file.readFloat32(`${name}.${run}`);
      assertClose(latents, wanted, { tolerance: 1e-4, what: `${name}, ${sampler}` });
    }
  } finally {
    await engine.close();
  }
}

/** A model's files with another scheduler. */
async function filesWith(
  model: URL,
  scheduler: Readonly<Record<string, unknown>>,
): Promise<ReadonlyMap<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for (const name of ["config.json", "diffusion_pytorch_model.safetensors"]) {
    files.set(name, await Deno.readFile(new URL(name, model)));
  }
  return files.set("scheduler_config.json", bytesOf(scheduler));
}

async function golden(
  folder: string,
  name = "golden.safetensors",
): Promise<Safetensors & AsyncDisposable> {
  const source = openDirectory(new URL(`${folder}/`, GOLDEN));
  const file = await openSafetensors(source, name);
  return Object.assign(file, { [Symbol.asyncDispose]: () => source.close() });
}
