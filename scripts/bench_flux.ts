/**
 * How much of its predicted speed-up each published structure delivers on a quarter-scale FLUX, and what
 * it gains to keep features behind their share of `proj_out`.
 *
 *     deno task bench:flux                       all four structures on native, `fast` on wasm
 *     deno task bench:flux --backend native --mode fast
 *
 * 5 dual and 10 single blocks 768 wide, 1,024 image and 128 text tokens, random weights. Full and planned
 * loops of one picture advance in turn, step by step; their sums are compared. `projecting` keeps features in front of `proj_out`,
 * which then runs in every step of the trunk, as in the published code.
 */
import { parseArgs } from "node:util";
import type { Weights } from "../src/assets/weights.ts";
import type { BackendName } from "../src/backend/backend.ts";
import { findNative } from "../src/backend/native.ts";
import { openBackend } from "../src/backend/select.ts";
import { Executor } from "../src/engine/executor.ts";
import { FeatureCache } from "../src/engine/feature_cache.ts";
import { featureSizes, modelCost } from "../src/engine/plan_target.ts";
import { resolveRequest } from "../src/engine/request.ts";
import { runSteps } from "../src/engine/run.ts";
import { fullSteps } from "../src/engine/step_segments.ts";
import { type FluxConfig, fluxWidth, parseFluxConfig } from "../src/model/flux_config.ts";
import { fluxModel, publishedSampler, withShares } from "../src/model/flux_model.ts";
import { fluxTensors, MLP_RATIO } from "../src/model/flux_tensors.ts";
import type { Model } from "../src/model/model.ts";
import type { Module, Transformer } from "../src/model/module_graph.ts";
import { compilePlan, type Step } from "../src/plan/compile.ts";
import { peakLiveBytes, predictSpeedup } from "../src/plan/cost.ts";
import { normalNoise } from "../src/tensor/random.ts";
import { elementCount } from "../src/tensor/tensor.ts";
import { FLUX_MODES, publishedFluxPlan } from "../tests/plan/published_plans.ts";
import { randomNumbers } from "./random_weights.ts";

const CONFIG = parseFluxConfig({
  num_layers: 5,
  num_single_layers: 10,
  num_attention_heads: 6,
  joint_attention_dim: 512,
  guidance_embeds: true,
});
const GRID = [32, 32] as const;
const TEXT_TOKENS = 128;
const STEPS = 28;

const { values } = parseArgs({
  options: {
    backend: { type: "string" },
    mode: { type: "string" },
    rounds: { type: "string", default: "1" },
  },
});

console.log("structure    kept       predicted  loop   /predicted  kept MiB  backend");
const found = await findNative() === undefined ? ["wasm"] : ["native", "wasm"];
for (const backend of values.backend === undefined ? found : [values.backend]) {
  const modes = backend === "native" ? FLUX_MODES : (["fast"] as const);
  for (const mode of modes.filter((name) => values.mode === undefined || name === values.mode)) {
    await measure(mode, backend as BackendName); // openBackend refuses other names
  }
}

/** Prints a line for the structure as we run it, and for `fast` one with the projection always run. */
async function measure(mode: (typeof FLUX_MODES)[number], name: BackendName): Promise<void> {
  const { backend } = await openBackend({ backend: name });
  const plan = publishedFluxPlan(mode, { dual: CONFIG.numLayers, single: CONFIG.numSingleLayers });
  const compiled = compilePlan(plan);
  const model = quarterModel();
  const full = fullSteps(STEPS, model.transformer.modules.length);
  const forms = mode === "fast" ? [model, projecting(model)] : [model];
  const executors = forms.map(({ transformer, weights }) =>
    new Executor(backend, transformer, weights)
  );
  const planned = forms.map((model, i) => ({
    model,
    executor: executors[i]!,
    steps: compiled.steps,
  }));
  await inTurn(planned); // loads the sessions
  const rounds: number[][] = [];
  for (let round = 0; round < Number(values.rounds); round++) {
    rounds.push(await inTurn([{ model, executor: executors[0]!, steps: full }, ...planned]));
  }
  for (const executor of executors) await executor.dispose();
  await backend.dispose();
  for (const [i, form] of forms.entries()) {
    const { transformer } = sceneOf(form);
    const predicted = predictSpeedup(compiled, modelCost(transformer));
    const loop = median(rounds.map((seconds) => seconds[0]! / seconds[i + 1]!)); // full is first
    const kept = peakLiveBytes(compiled, featureSizes(transformer, 1));
    console.log([
      mode.padEnd(12),
      form.id.padEnd(10),
      predicted.toFixed(3).padStart(9),
      loop.toFixed(3).padStart(6),
      (loop / predicted).toFixed(3).padStart(10),
      (kept / 2 ** 20).toFixed(1).padStart(9),
      ` ${backend.description}`,
    ].join(" "));
  }
}

/** The model whose single blocks keep what is in front of `proj_out`, and project in every merge. */
function projecting(model: Model): Model {
  const change = (transformer: Transformer): Transformer => ({
    ...transformer,
    modules: transformer.modules.map((module) => projectingModule(module, transformer)),
  });
  return {
    ...model,
    id: "projecting",
    transformer: change(model.transformer),
    scene: (request) => {
      const scene = model.scene!(request); // FLUX has one
      return { ...scene, transformer: change(scene.transformer) };
    },
  };
}

function projectingModule(module: Module, { sizes }: Transformer): Module {
  const { halves, macs } = module;
  if (halves === undefined) return module;
  const width = fluxWidth(CONFIG);
  const inner = module.name.endsWith(".mlp") ? MLP_RATIO * width : width;
  const projection = sizes!["M+T"]! * inner * width; // FLUX names it
  return {
    ...module,
    featureDims: [["N", "M+T", inner]],
    macs: { branch: macs.branch - projection, merge: macs.merge + projection },
    branch: (graph, streams, modulation) => [halves.inner(graph, streams, modulation)],
    merge: (graph, streams, modulation, [feature]) =>
      module.merge(graph, streams, modulation, halves.finish(graph, feature!)), // one feature
  };
}

function quarterModel(): Model {
  return {
    ...fluxModel(CONFIG),
    id: "projected",
    weights: withShares(randomWeights(CONFIG), CONFIG),
    sampler: publishedSampler(CONFIG),
    fingerprint: () => Promise.resolve("random"),
    close: () => Promise.resolve(),
  };
}

function randomWeights(config: FluxConfig): Weights {
  const shapes = fluxTensors(config);
  return {
    names: new Set(shapes.keys()),
    dims: (name) => shapes.get(name),
    read: (name) => {
      const dims = shapes.get(name)!; // only names of the list are asked for
      return Promise.resolve({ dims, data: randomNumbers(elementCount(dims), name.length) });
    },
    sample: (_name, indices) => Promise.resolve(new Float32Array(indices.length)),
  };
}

function requestOf(model: Model): ReturnType<typeof resolveRequest> {
  return resolveRequest(model, {
    text: normalNoise([1, TEXT_TOKENS, CONFIG.jointDim], 1),
    pooled: normalNoise([1, CONFIG.pooledDim], 2),
    grid: GRID,
    seed: 3,
    steps: STEPS,
  });
}

function sceneOf(model: Model): NonNullable<ReturnType<typeof resolveRequest>["scene"]> {
  return requestOf(model).scene!; // FLUX has one
}

interface Loop {
  readonly model: Model;
  readonly executor: Executor;
  readonly steps: readonly Step[];
}

/** Seconds of loops that advance step by step in turn, so that what else the machine does meets all. */
async function inTurn(loops: readonly Loop[]): Promise<number[]> {
  const runs = loops.map(({ model, executor, steps }) => {
    const request = requestOf(model);
    return runSteps({ model, executor, request, steps, features: new FeatureCache() });
  });
  const seconds = loops.map(() => 0);
  for (let step = 0; step < STEPS; step++) {
    for (const [i, run] of runs.entries()) {
      const { value } = await run.next();
      if ("seconds" in value) seconds[i]! += value.seconds; // a step, not the result
    }
  }
  for (const run of runs) await run.next();
  return seconds;
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)]!; // never empty
}
