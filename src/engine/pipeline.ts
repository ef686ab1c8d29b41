/**
 * From labels and a seed to latents: the loop that ties model, backend and sampler together.
 *
 * @module
 */

import type { DownloadEvent } from "../assets/hub/download_meter.ts";
import type { ModelLocation } from "../assets/location.ts";
import type { Backend } from "../backend/backend.ts";
import { type BackendChoice, type BackendOptions, openBackend } from "../backend/select.ts";
import type { Model } from "../model/model.ts";
import { openModel } from "../model/open_model.ts";
import { BackendError } from "../errors.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { memoryNeeds, misfitOf } from "./memory/needs.ts";
import { Decoding, type DecodingOptions } from "./decode/decoding.ts";
import {
  type RoundedLayers,
  roundedLowering,
  type WeightPrecision,
} from "./precision/rounded_layers.ts";
import { roomCheck } from "./memory/check.ts";
import {
  choosePrecision,
  precisionName,
  type PrecisionReport,
  roundLayers,
} from "./precision/choose.ts";
import { WEIGHT_ADVICE } from "./memory/run.ts";
import { Executor } from "./executor.ts";
import { FeatureCache } from "./feature_cache.ts";
import { prepareRun } from "./prepare.ts";
import { type PromptEncoder, withEncodedPrompts } from "./prompts.ts";
import type { GenerateOptions } from "./request.ts";
import { type RunResult, runSteps, type StepReport } from "./run.ts";
import { fullSteps } from "./segment/step_segments.ts";

export type { GenerateOptions } from "./request.ts";
export type { StepReport } from "./run.ts";

/** What to open. */
export interface PipelineOptions extends BackendOptions {
  /**
   * Directory, URL prefix, `hf://owner/name[@revision][/subfolder]`, .safetensors or .pt file, or files in
   * memory; the embedded model unless given.
   */
  readonly model?: ModelLocation;
  /** The original's sampler, whatever the directory's scheduler says; absent = the directory's. */
  readonly sampler?: "original";
  /**
   * Precision of the weights of linear layers in modules: `f32`, unless given, or as the model was packed.
   * `int8` computes in integers, on wasm and native; `int4` takes an eighth of the room.
   */
  readonly weights?: WeightPrecision;
  /** Encodes prompts, for a model of text; the caller's own. */
  readonly promptEncoder?: PromptEncoder;
  /** Sees the model before its sessions are loaded: what it throws ends the opening. */
  readonly onModel?: (model: Model) => void | Promise<void>;
  /** Hears of each session as it is loaded. */
  readonly onLoaded?: (done: number, total: number) => void;
  /** Hears of files that come from a hub (`hf://`), and of what its cache answers. */
  readonly onDownload?: (event: DownloadEvent) => void;
  /** Stops opening. */
  readonly signal?: AbortSignal;
}

/** The finished run. */
export interface Generated extends RunResult {
  /** Circumstances in which this run differs from its plan's calibration, in sentences. */
  readonly notices: readonly string[];
}

/** A model on a backend, ready to generate. One run at a time uses its device memory best. */
export interface Pipeline {
  /** The opened model. */
  readonly model: Model;
  /** The backend that runs it. */
  readonly backend: Backend;
  /** Why this backend was chosen. */
  readonly choice: BackendChoice;
  /** Runs single steps; for those who drive a run themselves. */
  readonly executor: Executor;
  /** Precision of its weights. */
  readonly precision: PrecisionReport;
  /** Graphs that run in a step without a plan. */
  readonly runsPerStep: number;
  /** Pictures `(n, 1 or 3, H, W)` of final latents. */
  decode(latents: Tensor, options?: DecodingOptions): Promise<Tensor>;
  /** A rough look at latents on the way, `(n, 1 or 3, h, w)`. */
  preview(latents: Tensor, options?: DecodingOptions): Promise<Tensor>;
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
  const model = await openModel(options.model ?? EMBEDDED_MODEL, options);
  const opened: { backend?: Backend; executor?: Executor } = {};
  try {
    await options.onModel?.(model);
    const { backend, choice } = await openBackend(options);
    opened.backend = backend;
    const rounded = await roundLayers(model, backend, choosePrecision(model, options.weights));
    expectRoom(model, backend, rounded);
    opened.executor = new Executor(backend, model.transformer, model.weights, rounded);
    const [full] = fullSteps(1, model.transformer.modules.length);
    await opened.executor.load(full!, options); // one step was asked for
    return new ModelPipeline({ model, choice, executor: opened.executor }, options.promptEncoder);
  } catch (error) {
    await opened.executor?.dispose();
    await opened.backend?.dispose();
    await model.close();
    throw error;
  }
}

/** Refuses, before loading, a model whose weights a backend cannot hold. */
function expectRoom(
  { id, transformer }: Model,
  { description, weightLimit }: Backend,
  rounded: RoundedLayers | undefined,
): void {
  if (weightLimit === undefined) return;
  const needs = memoryNeeds(transformer, rounded && roundedLowering(rounded.options));
  const misfit = misfitOf(needs, { weights: weightLimit });
  if (misfit !== undefined) {
    throw new BackendError(
      `Cannot open ${id} on ${description}: ${misfit}; take ${WEIGHT_ADVICE}, native or webgpu`,
    );
  }
}

/** Where the embedded model lies, relative to this module. */
export const EMBEDDED_MODEL: URL = new URL(
  "../../models/fashion-dit/",
  import.meta.url ?? "file:///", // workerd's modules lie nowhere; models are given there
);

class ModelPipeline implements Pipeline {
  readonly model: Model;
  readonly choice: BackendChoice;
  readonly executor: Executor;
  readonly #decoding: Decoding;
  readonly #expectRoom: ReturnType<typeof roomCheck>;

  constructor(
    { model, choice, executor }: Pick<Pipeline, "model" | "choice" | "executor">,
    readonly promptEncoder: PromptEncoder | undefined,
  ) {
    this.model = model;
    this.choice = choice;
    this.executor = executor;
    this.#decoding = new Decoding(model, executor.backend);
    const { rounded } = executor;
    this.#expectRoom = roomCheck(
      model,
      executor.backend,
      rounded && roundedLowering(rounded.options),
    );
  }

  get backend(): Backend {
    return this.executor.backend;
  }

  get precision(): PrecisionReport {
    const { rounded } = this.executor;
    const held = rounded?.options.precision ?? "f32";
    return { weights: held === "f16" ? "f32" : held, layers: rounded?.layers ?? [] };
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

  async *steps(given: GenerateOptions = {}): AsyncGenerator<StepReport, Generated, undefined> {
    const { model, executor } = this;
    const options = await withEncodedPrompts(given, this.promptEncoder);
    const prepared = await prepareRun(model, options, precisionName(this.precision.weights));
    this.#expectRoom(prepared);
    const features = new FeatureCache();
    const { signal } = options;
    const run = runSteps({ ...prepared, model, executor, features, signal });
    return { ...yield* run, notices: prepared.notices };
  }

  decode(latents: Tensor, options?: DecodingOptions): Promise<Tensor> {
    return this.#decoding.decode(latents, options);
  }

  preview(latents: Tensor, options?: DecodingOptions): Promise<Tensor> {
    return this.#decoding.preview(latents, options);
  }

  async close(): Promise<void> {
    await this.#decoding.dispose();
    await this.executor.dispose();
    await this.backend.dispose();
    await this.model.close();
  }
}
