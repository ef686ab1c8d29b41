/** FLUX against diffusers, on its own numbers, under diffusers' and the original's tensor names. */

import type { BackendName } from "../../src/backend/backend.ts";
import { openSafetensors, type Safetensors } from "../../src/assets/formats/safetensors.ts";
import { openDirectory } from "../../src/assets/source.ts";
import { FeatureCache } from "../../src/engine/feature_cache.ts";
import type { GenerateOptions } from "../../src/engine/request.ts";
import { type Engine, openEngine } from "../../src/engine/engine.ts";
import { keptModules } from "../../src/engine/device/feature_places.ts";
import { resolveRequest } from "../../src/engine/request.ts";
import { runSteps } from "../../src/engine/run.ts";
import { openBackend } from "../../src/backend/select.ts";
import { Executor } from "../../src/engine/executor.ts";
import { rowsOf } from "../plan/example_plans.ts";
import { forwardPass } from "./forward_pass.ts";
import { interfere } from "./small_model.ts";
import { fullSteps } from "../../src/engine/segment/step_segments.ts";
import { featureSizes, planTarget } from "../../src/engine/plan_facts.ts";
import { importCacheBook } from "../../src/plan/cache_book/import.ts";
import { type CompiledPlan, compilePlan } from "../../src/plan/compile.ts";
import { type FeatureSizes, peakLiveBytes } from "../../src/plan/cost.ts";
import { bindPlan, makePlan, type PlanTarget } from "../../src/plan/fit.ts";
import type { Plan } from "../../src/plan/plan.ts";
import type { Model } from "../../src/model/model.ts";
import { openModel } from "../../src/model/open_model.ts";
import { sliceRows } from "../../src/tensor/rows.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { assertEquals } from "@std/assert";
import { requires } from "../_shim/requires.ts";
import { assertClose, relativeError } from "../conformance/compare.ts";

const FLUX_A = new URL("../golden/flux-a/", import.meta.url);
const FLUX_A_BFL = new URL("../golden/flux-a-bfl/", import.meta.url);
const BOOKS = new URL("../golden/books/", import.meta.url);
const GUIDANCE = 3.5;

/**
 * Errors allowed, as shares of the largest reference number. Both sides are float32, and a run sums its
 * steps' errors up. On WebGPU exp, tanh and inverseSqrt may be several bits off as well.
 */
const ALLOWED: Readonly<Record<BackendName, { forward: number; sample: number }>> = {
  wasm: { forward: 2e-4, sample: 5e-4 },
  native: { forward: 2e-4, sample: 5e-4 },
  webgpu: { forward: 1e-3, sample: 5e-4 },
};

/** Allowed under a plan: errors of kept features are fed on. */
const CACHED_TOLERANCE = 1e-3;

for (const backend of ["wasm", "native", "webgpu"] as const) {
  const needs = backend === "wasm" ? [] : [backend];
  const options = await requires(`FLUX goldens on ${backend}`, ...needs);
  for (const [name, model] of [["flux-a", FLUX_A], ["flux-a-bfl", FLUX_A_BFL]] as const) {
    Deno.test(`a forward pass of ${name} is diffusers' on ${backend}`, options, async () => {
      await withGolden(async (file) => {
        const pipeline = await openEngine({ backend, precision: "f32", model });
        const output = await forward(pipeline, file);
        const { live } = pipeline.backend;
        assertEquals(live.values, backend === "webgpu" ? live.values : 0);
        await pipeline.close();
        const wanted = await file.readFloat32("forward.output");
        const tolerance = ALLOWED[backend].forward;
        const error = relativeError(output.data, wanted.data);
        console.log(`${name} forward on ${backend}: ${error.toExponential(1)} × max|reference|`);
        assertClose(output, wanted, { tolerance, what: "forward" });
      });
    });
  }
}

for (const backend of ["wasm", "native", "webgpu"] as const) {
  const needs = backend === "wasm" ? [] : [backend];
  const options = await requires(`FLUX samples on ${backend}`, ...needs);
  Deno.test(`latents of flux-a are diffusers' on ${backend}`, options, async () => {
    await withGolden(async (file) => {
      const pipeline = await openEngine({ backend, precision: "f32", model: FLUX_A });
      const rows = backend === "webgpu" ? 1 : 2; // for time's sake: pictures do not mix
      const { latents } = await pipeline.generate(await sampleOptions(file, rows));
      assertEquals(
        pipeline.backend.live.values,
        backend === "webgpu" ? pipeline.backend.live.values : 0,
      );
      await pipeline.close();
      const wanted = sliceRows(await file.readFloat32("sample.full"), 0, rows);
      const error = relativeError(latents.data, wanted.data);
      console.log(`flux-a sample on ${backend}: ${error.toExponential(1)} × max|reference|`);
      assertClose(latents, wanted, { tolerance: ALLOWED[backend].sample, what: "latents" });
    });
  });
}

for (const backend of ["wasm", "native", "webgpu"] as const) {
  const needs = backend === "wasm" ? [] : [backend];
  const options = await requires(`FLUX books on ${backend}`, ...needs);
  for (const name of ["flux-a-published", "flux-a-layers"]) {
    Deno.test(`the imported book ${name} gives its latents on ${backend}`, options, async () => {
      await withGolden(async (file) => {
        const pipeline = await openEngine({ backend, precision: "f32", model: FLUX_A });
        const rows = backend === "webgpu" ? 1 : 2;
        const given = await sampleOptions(file, rows);
        const plan = await importedBook(pipeline, given, name);
        const { latents, peakFeatureBytes } = await pipeline.generate({ ...given, plan });
        const { transformer } = resolveRequest(pipeline.model, given).scene;
        const [compiled, sizes] = [compilePlan(plan), featureSizes(transformer, rows)];
        const predicted = backend === "webgpu"
          ? placedBytes(compiled, sizes)
          : peakLiveBytes(compiled, sizes);
        assertEquals(peakFeatureBytes, predicted);
        await pipeline.close();
        const wanted = sliceRows(await readCached(name), 0, rows);
        const error = relativeError(latents.data, wanted.data);
        console.log(`${name} on ${backend}: ${error.toExponential(1)} × max|reference|`);
        assertClose(latents, wanted, { tolerance: CACHED_TOLERANCE, what: "latents" });
      });
    });
  }
}

/** On WebGPU what is kept at all has a place of its own for the whole run. */
function placedBytes({ steps }: CompiledPlan, sizes: FeatureSizes): number {
  const loaded = new Set(steps.map((step) => step.kind === "reuse" ? step.load : undefined));
  const states = (["hidden", "residual"] as const).filter((state) => loaded.has(state));
  const places = [
    ...[...keptModules(steps).keys()].map((module) => sizes.modules[module]!),
    ...states.map((state) => sizes[state]),
  ];
  return places.reduce((sum, bytes) => sum + bytes, 0);
}

/** What rounding may add to a forward pass: W8A8 rounds twelve layers by 0.7 %, int4 by 9 %. */
const ROUNDED = [["wasm", "int8", 0.03], ["native", "int8", 0.03], [
  "webgpu",
  "int4",
  0.3,
]] as const;

for (const [backend, weights, tolerance] of ROUNDED) {
  const needs = backend === "wasm" ? [] : [backend];
  const options = await requires(`FLUX in ${weights} on ${backend}`, ...needs);
  Deno.test(
    `a forward pass of FLUX in ${weights} is near diffusers' on ${backend}`,
    options,
    async () => {
      await withGolden(async (file) => {
        const pipeline = await openEngine({ backend, precision: "f32", model: FLUX_A, weights });
        const output = await forward(pipeline, file);
        const { layers } = pipeline.precision;
        await pipeline.close();
        const wanted = await file.readFloat32("forward.output");
        const error = relativeError(output.data, wanted.data);
        console.log(`${weights} on ${backend}: ${error.toExponential(1)} × max|reference|`);
        assertEquals(layers.some(({ rounded }) => rounded) && error > 1e-4, true);
        assertClose(output, wanted, { tolerance, what: "forward" });
      });
    },
  );
}

Deno.test("a plan of FLUX that reuses the trunk residual or everything but the head runs to the end", async () => {
  await withGolden(async (file) => {
    const pipeline = await openEngine({ backend: "wasm", model: FLUX_A });
    const given = { ...await sampleOptions(file, 1), steps: 4 };
    const modules = pipeline.model.transformer.modules.length;
    const plan = await planOf(pipeline, given, [
      ".".repeat(modules),
      "+",
      "r".repeat(modules),
      "=",
    ]);
    const { latents } = await pipeline.generate({ ...given, plan });
    assertEquals(pipeline.backend.live.values, 0);
    await pipeline.close();
    assertEquals(latents.data.every(Number.isFinite), true);
  });
});

Deno.test("a run of FLUX embeds its text once, and its conditioning ahead of the first step", async () => {
  await withGolden(async (file) => {
    const { backend } = await openBackend({ backend: "wasm" });
    const model = await openModel(FLUX_A);
    const runs: string[] = [];
    const watched = interfere(backend, { onRun: (name) => runs.push(name) });
    const executor = new Executor(watched, model.transformer, model.weights);
    const request = resolveRequest(model, { ...await sampleOptions(file, 2), steps: 3 });
    const steps = fullSteps(3, model.transformer.modules.length);
    const loop = runSteps({ model, executor, request, steps, features: new FeatureCache() });
    while ((await loop.next()).done !== true);
    assertEquals(runs.filter((name) => name === "preparation").length, 1);
    assertEquals(runs.filter((name) => name === "embedding").length, 3);
    const first = runs.indexOf("embedding");
    const ahead = runs.filter((name) => name.startsWith("modulation") || name === "conditioning");
    assertEquals(ahead, runs.slice(0, first).filter((name) => name !== "preparation"));
    assertEquals(ahead.length, 1 + model.transformer.conditioning.groups.length); // times, then layers
    await executor.dispose();
    await backend.dispose();
    await model.close();
  });
});

Deno.test("a FLUX model has one fingerprint under both kinds of names", async () => {
  const models = [await openModel(FLUX_A), await openModel(FLUX_A_BFL)];
  const [diffusers, original] = await Promise.all(models.map((model) => model.fingerprint()));
  for (const model of models) await model.close();
  assertEquals(original, diffusers);
});

/** One plain forward pass of two pictures, each at a time of its own. */
async function forward(pipeline: Engine, file: Safetensors): Promise<Tensor> {
  const times = [...(await file.readFloat32("forward.timestep")).data];
  const given = {
    text: await file.readFloat32("text"),
    pooled: await file.readFloat32("pooled"),
    imageIds: await file.readFloat32("image_ids"),
    noise: sliceRows(await file.readFloat32("noise"), 0, 2),
    guidance: GUIDANCE,
  };
  return await forwardPass(pipeline, given, times);
}

async function sampleOptions(file: Safetensors, rows: number): Promise<GenerateOptions> {
  return {
    text: sliceRows(await file.readFloat32("text"), 0, rows),
    pooled: sliceRows(await file.readFloat32("pooled"), 0, rows),
    imageIds: await file.readFloat32("image_ids"),
    noise: sliceRows(await file.readFloat32("noise"), 0, rows),
    guidance: GUIDANCE,
    steps: 28,
  };
}

/** The plan of a published book for this model. */
async function importedBook(
  { model }: Engine,
  given: GenerateOptions,
  name: string,
): Promise<Plan> {
  const book = JSON.parse(await Deno.readTextFile(new URL(`${name}/cache_books.json`, BOOKS)));
  const target = await targetOf(model, given);
  return bindPlan(importCacheBook(book, { name: target.sampler, times: target.times }), target);
}

async function planOf(
  { model }: Engine,
  given: GenerateOptions,
  rows: readonly string[],
): Promise<Plan> {
  const target = await targetOf(model, given);
  return makePlan(target, rowsOf(rows), { policy: { name: "hand", parameters: {} } });
}

function targetOf(model: Model, given: GenerateOptions): Promise<PlanTarget> {
  const { times } = resolveRequest(model, given).sampler;
  return planTarget(model, { times, guidance: GUIDANCE });
}

async function readCached(name: string): Promise<Tensor> {
  const source = openDirectory(new URL(`${name}/`, BOOKS));
  try {
    const file = await openSafetensors(source, "cached.safetensors");
    return await file.readFloat32("sample.cached");
  } finally {
    await source.close();
  }
}

async function withGolden(fn: (file: Safetensors) => Promise<void>): Promise<void> {
  const source = openDirectory(FLUX_A);
  try {
    await fn(await openSafetensors(source, "golden.safetensors"));
  } finally {
    await source.close();
  }
}
