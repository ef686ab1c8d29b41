/** Parity with diffusers' DiT pipeline, on its own numbers. */

import { assert, assertEquals } from "@std/assert";
import { openSafetensors, type Safetensors } from "../../src/assets/formats/safetensors.ts";
import { openDirectory } from "../../src/assets/source.ts";
import type { BackendName } from "../../src/backend/backend.ts";
import { computeConditioning } from "../../src/engine/conditioning.ts";
import { FeatureCache } from "../../src/engine/feature_cache.ts";
import { openEngine } from "../../src/engine/engine.ts";
import { fullStep } from "../../src/engine/segment/step_segments.ts";
import type { ModelLocation } from "../../src/assets/location.ts";
import { openModel } from "../../src/model/open_model.ts";
import { resolveRequest } from "../../src/engine/request.ts";
import { sliceRows } from "../../src/tensor/rows.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { assertClose, relativeError } from "../conformance/compare.ts";
import { requires } from "../_shim/requires.ts";
import { pipelineFiles } from "./pipeline_files.ts";

/** The transformer as diffusers computes it. */
const DIFFUSERS = { "transformer/config.json": { timestep_frequency_divisor: "half_minus_one" } };

/** As in golden_test.ts; samples are of 20 steps with guidance on all channels. */
const ALLOWED: Readonly<Record<BackendName, { forward: number; sample: number }>> = {
  wasm: { forward: 2e-4, sample: 1e-3 },
  native: { forward: 2e-4, sample: 1e-3 },
  webgpu: { forward: 1e-3, sample: 1e-2 },
};

for (const backend of ["wasm", "native", "webgpu"] as const) {
  const options = await requires(
    `diffusers' goldens on ${backend}`,
    ...(backend === "wasm" ? [] : [backend]),
  );
  Deno.test(
    `a forward pass is the original's, or diffusers' where the config says so, on ${backend}`,
    options,
    async () => {
      const wanted = await golden("dit-a-diffusers");
      const original = await wanted.read("forward.output_original");
      const theirs = await wanted.read("forward.output_diffusers");
      const ours = await forward(new URL("../golden/dit-a-diffusers/", import.meta.url), backend);
      const tolerance = ALLOWED[backend].forward;
      assertClose(ours, original, { tolerance, what: "original" });
      const ported = await forward(await pipelineFiles(DIFFUSERS), backend);
      assertClose(ported, theirs, { tolerance, what: "diffusers" });
      // They are far apart, so that each comparison says something.
      assert(relativeError(original.data, theirs.data) > 0.1);
      report(backend, { original: [ours, original], diffusers: [ported, theirs] });
    },
  );

  Deno.test(`latents by the scheduler's file are diffusers' on ${backend}`, options, async () => {
    const rows = backend === "webgpu" ? 1 : 8;
    const noise = sliceRows(await (await golden("dit-a")).read("sample.noise"), 0, rows);
    const labels = (await (await golden("dit-a")).integers("sample.label")).slice(0, rows);
    const pipeline = await openEngine({
      backend,
      precision: "f32",
      model: await pipelineFiles(DIFFUSERS),
    });
    const { latents } = await pipeline.generate({ labels, noise, steps: 20, guidance: 4 });
    await pipeline.close();
    const wanted = sliceRows(
      await (await golden("dit-a-diffusers")).read("sample.diffusers"),
      0,
      rows,
    );
    assertClose(latents, wanted, { tolerance: ALLOWED[backend].sample, what: "latents" });
    report(backend, { sample: [latents, wanted] });
  });
}

Deno.test("the times of a run are the golden scheduler's", async () => {
  const model = await openModel(await pipelineFiles());
  const times = await (await golden("dit-a-diffusers")).integers("timesteps");
  assertEquals(resolveRequest(model, { steps: 20 }).sampler.times, times);
  await model.close();
});

/** The figures that the README states. */
function report(
  backend: BackendName,
  errors: Readonly<Record<string, readonly [Tensor, Tensor]>>,
): void {
  for (const [what, [actual, wanted]] of Object.entries(errors)) {
    const error = relativeError(actual.data, wanted.data).toExponential(1);
    console.log(`dit-a-diffusers ${what} on ${backend}: ${error} × max|reference|`);
  }
}

async function forward(location: ModelLocation, backend: BackendName): Promise<Tensor> {
  const inputs = await golden("dit-a");
  const labels = (await inputs.integers("calibration.label")).slice(0, 4);
  const times = await inputs.integers("forward.t");
  const batch = times.map((time, i) => ({ time, label: labels[i]! })); // four of each
  const pipeline = await openEngine({ backend, precision: "f32", model: location });
  const { model, executor } = pipeline;
  const { transformer: { conditioning, modules }, weights } = model;
  const table = await computeConditioning(batch, {
    backend: executor.backend,
    conditioning,
    weights,
  });
  const step = fullStep(modules.length);
  const output = await executor.runStep(step, {
    latent: sliceRows(await inputs.read("calibration.noise"), 0, 4),
    batch,
    table,
    features: new FeatureCache(),
  });
  await pipeline.close();
  return output;
}

interface Golden {
  read(name: string): Promise<Tensor>;
  integers(name: string): Promise<number[]>;
}

async function golden(folder: string): Promise<Golden> {
  const inFile = async <T>(use: (file: Safetensors) => Promise<T>): Promise<T> => {
    const source = openDirectory(new URL(`../golden/${folder}/`, import.meta.url));
    const found = await use(await openSafetensors(source, "golden.safetensors"));
    await source.close();
    return found;
  };
  return await Promise.resolve({
    read: (name) => inFile((file) => file.readFloat32(name)),
    integers: (name) => inFile((file) => file.readIntegers(name)),
  });
}
