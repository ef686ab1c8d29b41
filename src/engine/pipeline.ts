/**
 * From labels and a seed to latents: the loop that ties model, backend and sampler together.
 *
 * @module
 */

import type { ModelLocation } from "../assets/model_dir.ts";
import type { Backend } from "../backend/backend.ts";
import { type BackendChoice, type BackendOptions, openBackend } from "../backend/select.ts";
import { type Model, openModel } from "../model/model.ts";
import type { Condition } from "../model/module_graph.ts";
import { ddim, type StepPosition } from "../sampler/ddim.ts";
import { firstChannels, guide } from "../sampler/guidance.ts";
import { linearSchedule } from "../sampler/noise_schedule.ts";
import { normalNoise } from "../tensor/random.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { computeConditioning } from "./conditioning.ts";
import { Executor } from "./executor.ts";
import { type GenerateOptions, type ResolvedRequest, resolveRequest } from "./request.ts";

export type { GenerateOptions } from "./request.ts";

/** What to open. */
export interface PipelineOptions extends BackendOptions {
  /** Directory, URL prefix, safetensors file or files in memory; the embedded model unless given. */
  readonly model?: ModelLocation;
  /** Hears of each session as it is loaded. */
  readonly onLoaded?: (done: number, total: number) => void;
  /** Stops opening. */
  readonly signal?: AbortSignal;
}

/** The state after one step. */
export interface StepReport extends StepPosition {
  /** Steps of the run. */
  readonly steps: number;
  /** Latents `(n, C, H, W)` after this step; after the last one, the result. */
  readonly latents: Tensor;
  /** Seconds that this step took. */
  readonly seconds: number;
}

/** The finished run. */
export interface Generated {
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
}

/** A model on a backend, ready to generate. One run at a time uses its device memory best. */
export interface Pipeline {
  /** The opened model. */
  readonly model: Model;
  /** The backend that runs it. */
  readonly backend: Backend;
  /** Why this backend was chosen. */
  readonly choice: BackendChoice;
  /** Graphs that run in a full step. */
  readonly runsPerStep: number;
  /** Runs to the end. @throws {RangeError | TypeError} When an option is out of range. */
  generate(options?: GenerateOptions): Promise<Generated>;
  /** Runs step by step; leaving the loop early frees everything. */
  steps(options?: GenerateOptions): AsyncGenerator<StepReport, Generated, undefined>;
  /** Frees sessions, weights, backend and files. */
  close(): Promise<void>;
}

/**
 * Opens a model on a backend and loads its sessions.
 *
 * ```ts ignore
 * const pipeline = await openPipeline();
 * const { latents } = await pipeline.generate({ labels: ["Sneaker"], seed: 7 });
 * await pipeline.close();
 * ```
 *
 * @throws {AssetError} When the model cannot be opened.
 * @throws {BackendError} When the backend cannot be opened or has no room for the model.
 */
export async function openPipeline(options: PipelineOptions = {}): Promise<Pipeline> {
  const model = await openModel(options.model ?? EMBEDDED_MODEL);
  const opened: { backend?: Backend; executor?: Executor } = {};
  try {
    const { backend, choice } = await openBackend(options);
    opened.backend = backend;
    opened.executor = new Executor(backend, model.transformer, model.weights);
    await opened.executor.load(options);
    return new ModelPipeline(model, choice, opened.executor);
  } catch (error) {
    await opened.executor?.dispose();
    await opened.backend?.dispose();
    await model.close();
    throw error;
  }
}

/** Where the embedded model lies, relative to this module. */
export const EMBEDDED_MODEL: URL = new URL("../../models/fashion-dit/", import.meta.url);

class ModelPipeline implements Pipeline {
  constructor(
    readonly model: Model,
    readonly choice: BackendChoice,
    readonly executor: Executor,
  ) {}

  get backend(): Backend {
    return this.executor.backend;
  }

  get runsPerStep(): number {
    return this.executor.runsPerStep;
  }

  async generate(options: GenerateOptions = {}): Promise<Generated> {
    const run = this.steps(options);
    for (let next = await run.next();; next = await run.next()) {
      if (next.done === true) return next.value;
    }
  }

  async *steps(options: GenerateOptions = {}): AsyncGenerator<StepReport, Generated, undefined> {
    const request = resolveRequest(this.model, options);
    const schedule = linearSchedule(request.steps);
    const started = performance.now();
    const conditions = schedule.times.flatMap((time) => batchOf(request, this.model, time));
    const table = await computeConditioning(conditions, {
      backend: this.backend,
      conditioning: this.model.transformer.conditioning,
      weights: this.model.weights,
      signal: options.signal,
    });
    const conditioned = performance.now();
    let latents = request.noise ?? noiseOf(request, this.model.latent);
    let before = conditioned;
    const denoise = async (latent: Tensor, { time }: StepPosition): Promise<Tensor> => {
      const batch = batchOf(request, this.model, time);
      const prediction = await this.executor.runFull({
        latent: repeat(latent, batch.length / request.labels.length),
        batch,
        table,
        signal: options.signal,
      });
      return this.#combine(prediction, request);
    };
    for await (const { index, time, latent } of ddim(schedule, latents, denoise)) {
      const now = performance.now();
      latents = latent;
      yield { index, time, latents, steps: request.steps, seconds: (now - before) / 1000 };
      before = performance.now();
    }
    return {
      latents,
      labels: request.labels,
      ...(request.noise === undefined && { seed: request.seed }),
      steps: request.steps,
      guidance: request.guidance,
      loopSeconds: (before - conditioned) / 1000,
      conditioningSeconds: (conditioned - started) / 1000,
    };
  }

  async close(): Promise<void> {
    await this.executor.dispose();
    await this.backend.dispose();
    await this.model.close();
  }

  #combine(prediction: Tensor, { guidance }: ResolvedRequest): Tensor {
    const [channels] = this.model.latent;
    if (guidance === 1) return firstChannels(prediction, channels);
    const guided = this.model.sampler.guidanceChannels ?? ORIGINAL_GUIDED_CHANNELS;
    return guide(prediction, channels, { scale: guidance, channels: guided });
  }
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
