/** Parity with the original implementation, on its own numbers. */

import type { BackendName } from "../../src/backend/backend.ts";
import { openSafetensors } from "../../src/assets/formats/safetensors.ts";
import { openDirectory } from "../../src/assets/source.ts";
import { FASHION_DIT } from "../fashion_dit.ts";
import { openEngine } from "../../src/engine/engine.ts";
import { computeConditioning } from "../../src/engine/conditioning.ts";
import { FeatureCache } from "../../src/engine/feature_cache.ts";
import { fullStep } from "../../src/engine/segment/step_segments.ts";
import { linearSchedule } from "../../src/sampler/noise_schedule.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { assertEquals } from "@std/assert";
import { requires } from "../_shim/requires.ts";
import { assertClose, relativeError } from "../conformance/compare.ts";

interface Golden {
  readonly name: string;
  readonly model: URL;
  readonly steps: number;
  readonly guidance: number;
}

const DIT_A: Golden = {
  name: "dit-a",
  model: new URL("../golden/dit-a/", import.meta.url),
  steps: 20,
  guidance: 4,
};
const FASHION: Golden = { name: "fashion-dit", model: FASHION_DIT, steps: 50, guidance: 2 };

/**
 * Errors allowed, as shares of the largest reference number. Both sides are float32: two such
 * implementations of these models differ by up to 8e-5, mostly in the cosines of timesteps up to 999, and a
 * run sums its steps' errors up. On WebGPU exp, tanh and inverseSqrt may be several bits off as well.
 */
const ALLOWED: Readonly<Record<BackendName, { forward: number; sample: number }>> = {
  wasm: { forward: 2e-4, sample: 3e-4 },
  native: { forward: 2e-4, sample: 3e-4 },
  webgpu: { forward: 1e-3, sample: 1e-2 },
};

/** How many of the pictures are sampled, for time's sake: pictures of a batch do not mix. */
const PICTURES: Readonly<Record<BackendName, number>> = { wasm: 2, native: 10, webgpu: 1 };

for (const backend of ["wasm", "native", "webgpu"] as const) {
  const needs = backend === "wasm" ? [] : [backend];
  const options = await requires(`goldens on ${backend}`, ...needs);
  for (const golden of [DIT_A, FASHION]) {
    Deno.test(`a forward pass of ${golden.name} is the original's on ${backend}`, options, () => {
      return checkForward(golden, backend);
    });
    Deno.test(`guided latents of ${golden.name} are the original's on ${backend}`, options, () => {
      return checkSample(golden, backend, PICTURES[backend]);
    });
  }
}

async function checkForward(golden: Golden, backend: BackendName): Promise<void> {
  await withGolden(golden, async (read) => {
    const pipeline = await openEngine({ backend, precision: "f32", model: golden.model });
    const { model, executor } = pipeline;
    const labels = (await read.integers("calibration.label")).slice(0, 4);
    const times = await read.integers("forward.t");
    const batch = times.map((time, i) => ({ time, label: labels[i]! })); // four of each
    const { transformer: { conditioning, modules }, weights } = model;
    const table = await computeConditioning(batch, {
      backend: executor.backend,
      conditioning,
      weights,
    });
    const latent = firstRows(await read.floats("calibration.noise"), 4);
    const step = fullStep(modules.length);
    const inputs = { latent, batch, table, features: new FeatureCache() };
    const output = await executor.runStep(step, inputs);
    await pipeline.close();
    const tolerance = ALLOWED[backend].forward;
    const wanted = await read.floats("forward.output");
    assertClose(output, wanted, { tolerance, what: "forward" });
    report(golden.name, backend, { forward: relativeError(output.data, wanted.data) });
  });
}

async function checkSample(
  golden: Golden,
  backend: BackendName,
  pictures: number,
): Promise<void> {
  const { steps, guidance } = golden;
  await withGolden(golden, async (read) => {
    assertEquals(linearSchedule(steps).times, await read.integers("timesteps"));
    const labels = (await read.integers("sample.label")).slice(0, pictures);
    const noise = firstRows(await read.floats("sample.noise"), labels.length);
    const pipeline = await openEngine({ backend, precision: "f32", model: golden.model });
    const { latents } = await pipeline.generate({ labels, noise, steps, guidance, plan: "none" });
    await pipeline.close();
    const wanted = firstRows(await read.floats("sample.full"), labels.length);
    const tolerance = ALLOWED[backend].sample;
    assertClose(latents, wanted, { tolerance, what: "latents" });
    report(golden.name, backend, { sample: relativeError(latents.data, wanted.data) });
  });
}

/** The figures that the README states. */
function report(
  name: string,
  backend: BackendName,
  errors: Readonly<Record<string, number>>,
): void {
  for (const [what, error] of Object.entries(errors)) {
    console.log(`${name} ${what} on ${backend}: ${error.toExponential(1)} × max|reference|`);
  }
}

interface Reader {
  floats(name: string): Promise<Tensor>;
  integers(name: string): Promise<number[]>;
}

async function withGolden({ name }: Golden, fn: (read: Reader) => Promise<void>): Promise<void> {
  const source = openDirectory(new URL(`../golden/${name}/`, import.meta.url));
  try {
    const file = await openSafetensors(source, "golden.safetensors");
    await fn({
      floats: (tensor) => file.readFloat32(tensor),
      integers: (tensor) => file.readIntegers(tensor),
    });
  } finally {
    await source.close();
  }
}

function firstRows({ dims: [n = 0, ...rest], data }: Tensor, count: number): Tensor {
  return { dims: [count, ...rest], data: data.slice(0, data.length / n * count) };
}
