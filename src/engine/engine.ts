/**
 * A model on a backend with its sessions: what runs are made with.
 */

import type { Backend } from "../backend/backend.ts";
import { type BackendChoice, openBackend } from "../backend/select.ts";
import { BackendError } from "../errors.ts";
import type { Model } from "../model/model.ts";
import { openModel } from "../model/open_model.ts";
import { joinRows } from "../tensor/rows.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { batchOf, batchSize, widestBatch } from "./batches.ts";
import { withKnown } from "./begin.ts";
import { Decoding, decodingError, type DecodingOptions } from "./decode/decoding.ts";
import { EMBEDDED_MODEL } from "./embedded_model.ts";
import { deviceRunOf, runOnDevice } from "./device/device_run.ts";
import { Stages } from "./device/stages.ts";
import { Executor } from "./executor.ts";
import { FeatureCache } from "./feature_cache.ts";
import { type Generated, generatedPictures } from "./generated.ts";
import type { RecordFacts } from "./picture_record.ts";
import { expectWeightsFit, memoryCheck } from "./memory/check.ts";
import type { Pipeline, PipelineOptions } from "./pipeline.ts";
import { precisionName, type PrecisionReport, roundedAs } from "./precision/choose.ts";
import { roundedLowering } from "./precision/rounded_layers.ts";
import { type PreparedRun, prepareRun } from "./prepare.ts";
import { expectGate, type Gate, openGate } from "./policies/gate.ts";
import { isParallel, runParallel } from "./parallel/run_parallel.ts";
import { mostCalls } from "../sampler/srds.ts";
import { ModelPrompts } from "./text/model_prompts.ts";
import type { GenerateOptions } from "./request.ts";
import { runFacts } from "./run_facts.ts";
import { type BatchResult, type Run, runSteps, runToEnd, type StepReport } from "./run.ts";
import { expectCells } from "./segment/expect_cells.ts";
import { fullStep } from "./segment/step_segments.ts";

export interface EngineOptions extends PipelineOptions {
  /** Called with the model before its sessions are loaded; if it throws, opening fails with that error. */
  readonly onModel?: (model: Model) => void | Promise<void>;
}

/** What is made of a prepared run. */
export type OutputOptions = Pick<
  GenerateOptions,
  "signal" | "output" | "readBack" | "onPreparing"
>;

/**
 * Opens a model on a backend and loads its sessions. Those of a model with text encoders are loaded by its first run,
 * after its prompts were encoded: the encoders may be larger than the transformer, and need not be there beside it.
 *
 * @throws {TypeError} When there is no such backend or precision.
 * @throws {AssetError} When the model cannot be opened.
 * @throws {BackendError} When the backend cannot be opened or its memory cannot hold the model.
 */
export async function openEngine(options: EngineOptions = {}): Promise<Engine> {
  const model = await openModel(options.model ?? EMBEDDED_MODEL, options);
  const opened: { backend?: Backend; executor?: Executor } = {};
  try {
    await options.onModel?.(model);
    const { backend, choice } = await openBackend(options);
    opened.backend = backend;
    const rounded = await roundedAs(model, backend, options);
    expectWeightsFit(model, backend, rounded);
    opened.executor = new Executor(backend, model.transformer, model.weights, rounded);
    const engine = new Engine({ model, choice, executor: opened.executor }, options);
    if (!engine.encodesPrompts) await engine.load(options);
    return engine;
  } catch (error) {
    await opened.executor?.dispose();
    await opened.backend?.dispose();
    await model.close();
    throw error;
  }
}

/** The full interface of a pipeline, which calibration, commands and servers use. */
export class Engine implements Pipeline {
  readonly model: Model;
  readonly choice: BackendChoice;
  /** Runs single steps; for those who drive a run themselves. */
  readonly executor: Executor;
  readonly promptEncoder: PipelineOptions["promptEncoder"];
  readonly #options: PipelineOptions;
  readonly #decoding: Decoding;
  readonly #prompts: ModelPrompts | undefined;
  #isLoaded = false;
  #isClosed = false;
  readonly #checkMemory: ReturnType<typeof memoryCheck>;
  readonly #stages: Stages | undefined;

  /** Owns what it is given and closes it. */
  constructor(
    { model, choice, executor }: {
      readonly model: Model;
      readonly choice: BackendChoice;
      readonly executor: Executor;
    },
    options: PipelineOptions,
  ) {
    this.model = model;
    this.choice = choice;
    this.executor = executor;
    this.#options = options;
    this.#decoding = new Decoding(model, executor.backend);
    const [{ backend, rounded }, { text }] = [executor, model];
    this.#prompts = text && new ModelPrompts({ id: model.id, text }, backend, options.weights);
    this.promptEncoder = options.promptEncoder ?? this.#prompts;
    this.#stages = backend.gpu && new Stages({ gpu: backend.gpu, sessions: executor.sessions });
    this.#checkMemory = memoryCheck(model, backend, rounded && roundedLowering(rounded.options));
  }

  get backend(): Backend {
    return this.executor.backend;
  }

  /** Precision of its weights, and what rounding did to each layer. */
  get precision(): PrecisionReport {
    const { rounded } = this.executor;
    const { precision: held = "f32", products = "f32" } = rounded?.options ?? {};
    return { weights: held === "f16" ? "f32" : held, products, layers: rounded?.layers ?? [] };
  }

  /** Whether there is something to encode prompts with. */
  get takesPrompts(): boolean {
    return this.promptEncoder !== undefined;
  }

  /** Graphs that run in a step without a plan. */
  get runsPerStep(): number {
    return this.executor.runsPerStep;
  }

  /** Whether prompts are encoded by the model's own encoders, and not by one that the caller provides. */
  get encodesPrompts(): boolean {
    return this.#prompts !== undefined && this.promptEncoder === this.#prompts;
  }

  /** Loads the transformer's sessions, if no run has. */
  async load(options: Pick<OutputOptions, "signal" | "onPreparing"> = {}): Promise<void> {
    if (this.#isLoaded) return;
    const step = fullStep(this.model.transformer.modules.length);
    await this.executor.load(step, { ...options, onLoaded: this.#options.onLoaded });
    this.#isLoaded = true;
  }

  /** What every picture's record says of this engine. */
  async recordFacts(): Promise<RecordFacts> {
    const { precision: { weights, products }, model } = this;
    return {
      ...{ model: model.id, fingerprint: await model.fingerprint() },
      sampler: this.#options.sampler,
      weights: weights === "f32" ? undefined : weights,
      precision: products === "f32" ? undefined : products,
    };
  }

  /**
   * Resolves all that a run depends on, once.
   *
   * @throws {RangeError | TypeError | PlanError} When it cannot run.
   * @throws {BackendError} When it is closed.
   */
  async prepare(options: GenerateOptions = {}): Promise<PreparedRun> {
    if (this.#isClosed) throw new BackendError("Cannot generate: the pipeline is closed.");
    const precision = precisionName(this.precision.weights);
    const { model, promptEncoder } = this;
    expectGate(options, this.backend);
    const prepared = await prepareRun(model, options, { precision, promptEncoder });
    expectCells(prepared.steps, model.transformer, this.backend);
    const room = this.#checkMemory({ ...prepared, request: widestBatch(prepared) });
    await this.#prompts?.fit(room);
    const { signal } = options;
    const request = await withKnown(
      prepared.request,
      (planes, grid) => this.#decoding.encode(planes, { grid, signal }),
    );
    return { ...prepared, request };
  }

  /** Steps that a run takes at most, over all its batches. */
  stepsOf(prepared: PreparedRun): number {
    const { request: { labels }, steps, parallel } = prepared;
    const each = parallel === undefined ? steps.length : mostCalls(parallel);
    return each * Math.ceil(labels.length / batchSize(prepared));
  }

  generate(options: GenerateOptions = {}): Promise<Generated> {
    return runToEnd(this.steps({ ...options, readBack: false }));
  }

  /** Runs step by step, one batch of pictures after another; leaving the loop early frees everything. */
  async *steps(options: GenerateOptions = {}): AsyncGenerator<StepReport, Generated, undefined> {
    return yield* this.run(await this.prepare(options), options);
  }

  /** As {@linkcode steps}, for a run that {@linkcode prepare} returned. */
  async *run(
    prepared: PreparedRun,
    { signal, output = "pictures", readBack = true, onPreparing }: OutputOptions = {},
  ): AsyncGenerator<StepReport, Generated, undefined> {
    const started = performance.now();
    await this.load({ signal, onPreparing });
    const { request } = prepared;
    const { tokenGrid } = request.scene;
    const noPictures = output === "pictures" ? decodingError(this.model) : undefined;
    const decodes = output === "pictures" && noPictures === undefined;
    const results: BatchResult[] = [];
    const decoded: Tensor[] = [];
    const gates: Gate[] = [];
    const size = batchSize(prepared);
    const batches = Math.ceil(request.labels.length / size);
    for (let batch = 0; batch < batches; batch++) {
      const first = batch * size;
      const place = { first, batch, batches };
      const part = { ...prepared, request: batchOf(request, first, size), place, signal };
      const gate = openGate(part, this.executor);
      if (gate !== undefined) gates.push(gate);
      const result = yield* this.#runBatch({ ...part, gate }, readBack);
      results.push(result);
      if (!decodes) continue;
      decoded.push(await this.decode(result.latents, { grid: tokenGrid, signal }));
    }
    const seconds = (performance.now() - started) / 1000;
    const run = runFacts(prepared, results, { gates, seconds, noPictures });
    if (!decodes) return { ...run, pictures: [] };
    const given = { facts: await this.recordFacts(), scales: request.scales };
    return { ...run, pictures: generatedPictures(joinRows(decoded), run, given) };
  }

  /** Runs one batch: on a GPU where all of it can stay there, else step by step through the host. */
  #runBatch(
    batch: PreparedRun & Pick<Run, "gate" | "place" | "signal">,
    readBack: boolean,
  ): AsyncGenerator<StepReport, BatchResult, undefined> {
    const { model, executor } = this;
    const run = { ...batch, model, executor, features: new FeatureCache() };
    if (isParallel(run)) return runParallel(run);
    const onDevice = this.#stages && deviceRunOf(run, readBack);
    return onDevice === undefined ? runSteps(run) : runOnDevice(onDevice, this.#stages!);
  }

  /** Pictures `(n, 1 or 3, H, W)` of final latents. */
  decode(latents: Tensor, options?: DecodingOptions): Promise<Tensor> {
    return this.#decoding.decode(latents, options);
  }

  /** A rough preview of intermediate latents, `(n, 1 or 3, h, w)`. */
  preview(latents: Tensor, options?: DecodingOptions): Promise<Tensor> {
    return this.#decoding.preview(latents, options);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#prompts?.dispose();
    await this.#decoding.dispose();
    await this.#stages?.dispose();
    await this.executor.dispose();
    await this.backend.dispose();
    await this.model.close();
  }
}

/**
 * The engine of a pipeline that `openPipeline()` opened.
 *
 * @throws {TypeError} When it is another.
 */
export function engineOf(pipeline: Pipeline): Engine {
  if (pipeline instanceof Engine) return pipeline;
  throw new TypeError("Cannot use pipeline: it must come from openPipeline()");
}
