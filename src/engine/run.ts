/**
 * One run: conditioning ahead, then the sampler's loop over the steps of a plan.
 *
 * @module
 */

import type { Model } from "../model/model.ts";
import type { Condition } from "../model/module_graph.ts";
import type { Step } from "../plan/compile.ts";
import { ddim, type StepPosition } from "../sampler/ddim.ts";
import { firstChannels, guide } from "../sampler/guidance.ts";
import { linearSchedule } from "../sampler/noise_schedule.ts";
import { normalNoise } from "../tensor/random.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { computeConditioning, type ConditioningTable } from "./conditioning.ts";
import type { Executor } from "./executor.ts";
import type { FeatureCache } from "./feature_cache.ts";
import type { ResolvedRequest } from "./request.ts";

/** The state after one step. */
export interface StepReport extends StepPosition {
  /** Steps of the run. */
  readonly steps: number;
  /** Latents `(n, C, H, W)` after this step; after the last one, the result. */
  readonly latents: Tensor;
  /** What the plan let this step do; `full` without a plan. */
  readonly kind: Step["kind"];
  /** Seconds that this step took. */
  readonly seconds: number;
}

/** A finished run. */
export interface RunResult {
  /** Final latents `(n, C, H, W)`. */
  readonly latents: Tensor;
  /** Label of each picture. */
  readonly labels: readonly number[];
  /** Seed of the first picture; absent when noise was given. */
  readonly seed?: number;
  /** Sampling steps. */
  readonly steps: number;
  /** Guidance scale. */
  readonly guidance: number;
  /** Seconds from the first step's start to the last step's end. */
  readonly loopSeconds: number;
  /** Seconds of conditioning, ahead of the loop. */
  readonly conditioningSeconds: number;
  /** The most bytes of features and states kept at any moment. */
  readonly peakFeatureBytes: number;
}

/** What a run is made of. */
export interface Run {
  /** The model. */
  readonly model: Model;
  /** What runs its steps. */
  readonly executor: Executor;
  /** What to generate. */
  readonly request: ResolvedRequest;
  /** One step for each of the request's. */
  readonly steps: readonly Step[];
  /** Keeps what steps store; disposed of at the end. */
  readonly features: FeatureCache;
  /** Stops before the next graph. */
  readonly signal?: AbortSignal | undefined;
}

/** Runs step by step; leaving the loop early frees everything. */
export async function* runSteps(run: Run): AsyncGenerator<StepReport, RunResult, undefined> {
  const { model, request, steps, features } = run;
  const { noise, seed, labels, guidance } = request;
  const schedule = linearSchedule(request.steps);
  const started = performance.now();
  const table = await condition(run, schedule.times);
  const conditioned = performance.now();
  let latents = noise ?? noiseOf(request, model.latent);
  let before = conditioned;
  try {
    for await (const { index, time, latent } of ddim(schedule, latents, denoiser(run, table))) {
      latents = latent;
      const seconds = (performance.now() - before) / 1000;
      yield { index, time, latents, kind: steps[index]!.kind, steps: steps.length, seconds };
      before = performance.now();
    }
  } finally {
    features.dispose();
  }
  return {
    latents,
    labels,
    ...(noise === undefined && { seed }),
    steps: steps.length,
    guidance,
    loopSeconds: (before - conditioned) / 1000,
    conditioningSeconds: (conditioned - started) / 1000,
    peakFeatureBytes: features.peakBytes,
  };
}

function denoiser(run: Run, table: ConditioningTable): Parameters<typeof ddim>[2] {
  const { model, executor, request, steps, features, signal } = run;
  return async (latent, { index, time }) => {
    const batch = batchOf(request, model, time);
    const repeated = repeat(latent, batch.length / request.labels.length);
    const inputs = { latent: repeated, batch, table, features, signal };
    return combine(await executor.runStep(steps[index]!, inputs), run); // one step for each time
  };
}

function condition(run: Run, times: readonly number[]): Promise<ConditioningTable> {
  const { model, executor: { backend }, request, signal } = run;
  const { transformer: { conditioning }, weights } = model;
  const conditions = times.flatMap((time) => batchOf(request, model, time));
  return computeConditioning(conditions, { backend, conditioning, weights, signal });
}

function combine(prediction: Tensor, { model, request: { guidance } }: Run): Tensor {
  const [channels] = model.latent;
  if (guidance === 1) return firstChannels(prediction, channels);
  const guided = model.sampler.guidanceChannels ?? ORIGINAL_GUIDED_CHANNELS;
  return guide(prediction, channels, { scale: guidance, channels: guided });
}

/** *Source:* DiT `forward_with_cfg`: "we apply classifier-free guidance on only three channels". */
const ORIGINAL_GUIDED_CHANNELS = 3;

/** Conditional half, then null half; without guidance the conditional half alone. */
function batchOf({ labels, guidance }: ResolvedRequest, model: Model, time: number): Condition[] {
  const conditional = labels.map((label) => ({ time, label }));
  const { nullLabel } = model;
  if (guidance === 1 || nullLabel === undefined) return conditional;
  return [...conditional, ...labels.map(() => ({ time, label: nullLabel }))];
}

function noiseOf({ labels, seed }: ResolvedRequest, latent: readonly number[]): Tensor {
  const pictures = labels.map((_, i) => normalNoise(latent, seed + i).data);
  const data = new Float32Array(pictures.reduce((sum, { length }) => sum + length, 0));
  pictures.forEach((picture, i) => data.set(picture, i * picture.length));
  return { dims: [labels.length, ...latent], data };
}

function repeat({ dims: [n = 0, ...rest], data }: Tensor, times: number): Tensor {
  const repeated = new Float32Array(data.length * times);
  for (let i = 0; i < times; i++) repeated.set(data, i * data.length);
  return { dims: [n * times, ...rest], data: repeated };
}
