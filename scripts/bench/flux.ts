/**
 * How much of its predicted speed-up each published structure delivers on a quarter-scale FLUX, and what
 * it gains to keep features behind their share of `proj_out`.
 *
 *     deno task bench:flux                       all four structures on native, `fast` on wasm
 *     deno task bench:flux --backend native --mode fast
 *
 * 5 dual and 10 single blocks 768 wide, 1,024 image and 128 text tokens, random weights. Full and planned
 * loops of one picture advance in turn, step by step; their sums are compared, of seconds (`loop`) and of the
 * process's CPU seconds (`cpu`), which what else the machine does hardly touches. `projecting` keeps features in front of `proj_out`,
 * which then runs in every step of the trunk, as in the published code.
 */
import process from "node:process";
import { parseArgs } from "../parse_args.ts";
import type { BackendName } from "../../src/backend/backend.ts";
import { findNative } from "../../src/backend/native.ts";
import { openBackend } from "../../src/backend/select.ts";
import { Executor } from "../../src/engine/executor.ts";
import { FeatureCache } from "../../src/engine/feature_cache.ts";
import { featureSizes, modelCost } from "../../src/engine/plan_facts.ts";
import { resolveRequest } from "../../src/engine/request.ts";
import { conditionRun, sampleFrom } from "../../src/engine/run.ts";
import { fullSteps } from "../../src/engine/segment/step_segments.ts";
import { fluxWidth, MLP_RATIO, parseFluxConfig } from "../../src/model/flux/config.ts";
import { fluxModel, publishedSampler, withShares } from "../../src/model/flux/open.ts";
import { fluxTensors } from "../../src/model/flux/tensors.ts";
import type { Model } from "../../src/model/model.ts";
import { originOf } from "../../src/model/opened_model.ts";
import type { Module, Transformer } from "../../src/model/module_graph.ts";
import { type CompiledPlan, compilePlan, type Step } from "../../src/plan/compile.ts";
import { peakLiveBytes, predictSpeedup } from "../../src/plan/cost.ts";
import { startOf } from "../../src/sampler/sampler.ts";
import { normalNoise } from "../../src/tensor/random.ts";
import { FLUX_MODES, publishedFluxPlan } from "../../tests/plan/published_plans.ts";
import { randomTensors } from "../make/random_weights.ts";
import { median } from "../../src/calibrate/median.ts";

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
/** A step that runs in full in every structure, behind which each has all that it reuses. */
const WARM_FROM = 22;
type FluxMode = (typeof FLUX_MODES)[number];

const { values } = parseArgs({
  options: {
    backend: { type: "string" },
    mode: { type: "string" },
    rounds: { type: "string", default: "1" },
  },
});

console.log(
  "structure    kept       predicted  loop  /predicted    cpu  /predicted  kept MiB  backend",
);
const found = await findNative() === undefined ? ["wasm"] : ["native", "wasm"];
for (const backend of values.backend === undefined ? found : [values.backend]) {
  const modes = values.mode === undefined && backend === "native"
    ? FLUX_MODES
    : FLUX_MODES.filter((mode) => mode === (values.mode ?? "fast"));
  await measure(modes, backend as BackendName); // openBackend refuses other names
}

/** A structure with the model that runs it. */
interface Subject extends Loop {
  readonly mode: string;
  readonly compiled: CompiledPlan;
}

/** Prints a line for each structure as we run it, and for `fast` one with the projection always run. */
async function measure(modes: readonly FluxMode[], name: BackendName): Promise<void> {
  const { backend } = await openBackend({ backend: name });
  const model = quarterModel();
  const executor = new Executor(backend, model.transformer, model.weights);
  const always = projecting(model);
  const alwaysExecutor = new Executor(backend, always.transformer, always.weights);
  const subjects = modes.flatMap((mode): Subject[] => {
    const plan = publishedFluxPlan(mode, {
      dual: CONFIG.numLayers,
      single: CONFIG.numSingleLayers,
    });
    const compiled = compilePlan(plan);
    const { steps } = compiled;
    const own = { mode, compiled, model, executor, steps };
    return mode === "fast" ? [own, { ...own, model: always, executor: alwaysExecutor }] : [own];
  });
  await inTurn(subjects, WARM_FROM);
  const full = { model, executor, steps: fullSteps(STEPS, model.transformer.modules.length) };
  const rounds: Cost[][] = [];
  for (let round = 0; round < Number(values.rounds); round++) {
    rounds.push(await inTurn([full, ...subjects]));
  }
  for (const each of [executor, alwaysExecutor]) await each.dispose();
  subjects.forEach((subject, i) => {
    const speedup = (cost: keyof Cost): number =>
      median(rounds.map((costs) => costs[0]![cost] / costs[i + 1]![cost])); // full is first
    console.log(`${lineOf(subject, speedup)}  ${backend.description}`);
  });
  await backend.dispose();
}

function lineOf({ mode, model, compiled }: Subject, speedup: (cost: keyof Cost) => number): string {
  const { transformer } = sceneOf(model);
  const predicted = predictSpeedup(compiled, modelCost(transformer));
  const kept = peakLiveBytes(compiled, featureSizes(transformer, 1));
  return [
    mode.padEnd(12),
    model.id.padEnd(10),
    predicted.toFixed(3).padStart(9),
    ...(["seconds", "cpuSeconds"] as const).flatMap((cost) => [
      speedup(cost).toFixed(3).padStart(6),
      (speedup(cost) / predicted).toFixed(3).padStart(10),
    ]),
    (kept / 2 ** 20).toFixed(1).padStart(9),
  ].join(" ");
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
      const scene = model.scene(request);
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
    weights: withShares(randomTensors(fluxTensors(CONFIG)), CONFIG),
    sampler: publishedSampler(CONFIG),
    origin: originOf("flux", {}),
    fingerprint: () => Promise.resolve("random"),
    close: () => Promise.resolve(),
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

function sceneOf(model: Model): ReturnType<typeof resolveRequest>["scene"] {
  return requestOf(model).scene;
}

interface Loop {
  readonly model: Model;
  readonly executor: Executor;
  readonly steps: readonly Step[];
}

interface Cost {
  seconds: number;
  cpuSeconds: number;
}

/** Costs of loops that advance step by step in turn, so that what else the machine does meets all. */
async function inTurn(loops: readonly Loop[], first = 0): Promise<Cost[]> {
  const runs = [];
  for (const loop of loops) runs.push(await started(loop, first));
  const costs = loops.map((): Cost => ({ seconds: 0, cpuSeconds: 0 }));
  for (let step = first; step <= STEPS; step++) { // the last turn ends the loops
    for (const [i, run] of runs.entries()) {
      const before = process.cpuUsage();
      const { value } = await run.next();
      const { user, system } = process.cpuUsage(before);
      if (value === undefined) continue;
      costs[i]!.seconds += value.seconds; // one for each
      costs[i]!.cpuSeconds += (user + system) / 1e6;
    }
  }
  return costs;
}

/** A loop whose conditioning is over. */
async function started(
  { model, executor, steps }: Loop,
  index: number,
): Promise<ReturnType<typeof sampleFrom>> {
  const request = requestOf(model);
  const run = { model, executor, request, steps, features: new FeatureCache() };
  const latents = request.noise;
  return sampleFrom(run, { table: await conditionRun(run), state: { ...startOf(latents), index } });
}
