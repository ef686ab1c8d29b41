/**
 * A renderer on this thread: events are processed between graphs, but each graph blocks until it is done.
 */

import { encodingError, pictureShape } from "../engine/decode/decoding.ts";
import type { PipelineOptions } from "../engine/pipeline.ts";
import type { Generated } from "../engine/generated.ts";
import { type Engine, openEngine } from "../engine/engine.ts";
import { lengthNotices } from "../engine/prompt_notices.ts";
import { type GenerateOptions, sceneOf } from "../engine/request.ts";
import { policiesOf } from "../engine/policies/table.ts";
import { modelCost } from "../engine/plan_facts.ts";
import type { Scene } from "../model/scene.ts";
import { zeros } from "../tensor/tensor.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { PictureConditions } from "./picture_conditions.ts";
import type { Batch, Rendered, Renderer, RendererFacts } from "./renderer.ts";
import type { RenderOptions } from "./renderer.ts";
import { reopened } from "./reopened.ts";
import { runToEnd } from "../engine/run.ts";

/** What to open. */
export interface LocalOptions extends PipelineOptions {
  /** What labels select from, for a text-conditioned model. */
  readonly conditions?: PictureConditions | undefined;
}

/**
 * Opens a model for rendering on this thread; again, where its GPU is lost.
 *
 * @throws {AssetError | BackendError} As {@linkcode openEngine}.
 * @throws {RangeError} When conditions do not fit the model.
 */
export async function openLocalRenderer(options: LocalOptions = {}): Promise<Renderer> {
  const { onLoaded: _, signal: __, ...again } = options; // they were of the first time
  return await reopened(openOnce(options), () => openOnce(again));
}

async function openOnce(options: LocalOptions): Promise<Renderer> {
  const pipeline = await openEngine(options);
  try {
    const { autoencoderError } = pipeline.model;
    if (autoencoderError !== undefined) throw autoencoderError; // it could only refuse every picture
    if (options.conditions !== undefined) await pipeline.load(options); // no prompt will be encoded before
    const scene = sceneOf(pipeline.model, options.conditions ?? {}); // what every batch is about
    const facts = await factsOf(pipeline, { scene, names: options.conditions?.names ?? [] });
    return new LocalRenderer(pipeline, { facts, scene, conditions: options.conditions });
  } catch (error) {
    await pipeline.close();
    throw error;
  }
}

interface Opened {
  readonly facts: RendererFacts;
  readonly scene: Scene;
  readonly conditions: PictureConditions | undefined;
}

class LocalRenderer implements Renderer {
  readonly facts: RendererFacts;

  constructor(readonly pipeline: Engine, readonly opened: Opened) {
    this.facts = opened.facts;
  }

  async render(batch: Batch, options: RenderOptions = {}): Promise<Rendered> {
    const { conditions } = this.opened;
    const { signal } = options;
    const run = this.pipeline.steps({
      ...conditions,
      ...subjectOf(batch),
      guidance: batch.pictures.map(({ guidance }) => guidance),
      seeds: batch.pictures.map(({ seed }) => seed),
      steps: batch.steps,
      sampler: batch.sampler,
      plan: batch.plan ?? "none",
      policy: batch.policy,
      ...batch.edit,
      output: "latents",
      readBack: options.previews === true,
      onPreparing: options.onPreparing,
      signal,
    });
    const generated = await runToEnd(run, async (step) => {
      const { index, steps, kind, kinds, seconds, keptBytes, estimate } = step;
      const preview = estimate && options.previews
        ? await this.#preview(estimate, signal)
        : undefined;
      const told = { index, steps, kind, ...(kinds && { kinds }), seconds, keptBytes };
      options.onStep?.({ ...told, ...(preview && { preview }) });
    });
    return await this.#finish(generated, signal);
  }

  async counts(): Promise<{ values: number; sessions: number }> {
    const { values, sessions } = this.pipeline.backend.live;
    return await Promise.resolve({ values, sessions });
  }

  async close(): Promise<void> {
    await this.pipeline.close();
  }

  async #preview(estimate: Tensor, signal: AbortSignal | undefined): Promise<Tensor | undefined> {
    if (this.facts.picture === undefined) return undefined;
    return await this.pipeline.preview(estimate, { grid: this.opened.scene.tokenGrid, signal });
  }

  async #finish(
    { latents, loopSeconds, conditioningSeconds, peakFeatureBytes, policy, ...said }: Generated,
    signal: AbortSignal | undefined,
  ): Promise<Rendered> {
    const started = performance.now();
    const grid = this.opened.scene.tokenGrid;
    const pictures = this.facts.picture && await this.pipeline.decode(latents, { grid, signal });
    return {
      latents,
      ...(pictures !== undefined && { pictures }),
      loopSeconds,
      conditioningSeconds,
      decodingSeconds: (performance.now() - started) / 1000,
      peakFeatureBytes,
      ...(policy !== undefined && { reused: policy.reused }),
      ...promptFacts(said),
    };
  }
}

/** What pictures are of: prompts, or classes. */
function subjectOf(
  { pictures, trueGuidance }: Batch,
): Pick<
  GenerateOptions,
  "labels" | "prompts" | "prompt2" | "negativePrompt" | "trueGuidance"
> {
  const prompts = pictures.flatMap(({ prompt }) => prompt ?? []);
  if (prompts.length === 0) return { labels: pictures.map(({ label = 0 }) => label) };
  const negatives = prompts.flatMap(({ negativePrompt }) => negativePrompt ?? []);
  const hasSecond = prompts.some(({ prompt2 }) => prompt2 !== undefined);
  return {
    prompts: prompts.map(({ prompt }) => prompt),
    ...(hasSecond && { prompt2: prompts.map(({ prompt, prompt2 }) => prompt2 ?? prompt) }),
    ...(negatives.length > 0 && { negativePrompt: negatives }),
    trueGuidance,
  };
}

/** How long the prompt of each picture is, and what is not said of prompts. */
function promptFacts(
  { prompts, tokens, labels, notices }: Pick<
    Generated,
    "prompts" | "tokens" | "labels" | "notices"
  >,
): Pick<Rendered, "notices" | "tokens"> {
  const ofPrompts = new Set(lengthNotices(prompts, tokens));
  return {
    notices: notices.filter((notice) => !ofPrompts.has(notice)),
    ...(tokens !== undefined && { tokens: labels.map((label) => tokens[label] ?? []) }),
  };
}

async function factsOf(
  engine: Engine,
  { scene, names }: { readonly scene: Scene; readonly names: readonly string[] },
): Promise<RendererFacts> {
  const { model, backend, choice } = engine;
  const record = await engine.recordFacts();
  const { id, classes, classNames, prompts, sampler } = model;
  const [, ...latent] = scene.planes(zeros([1, ...scene.latentDims])).dims;
  const [channels = 0, rows = 0, columns = 0] = latent;
  const picture = pictureShape(model, [rows, columns]);
  return {
    id,
    architecture: scene.transformer.architecture,
    modules: scene.transformer.modules.map(({ name }) => name),
    cost: modelCost(scene.transformer),
    latent: [channels, rows, columns],
    ...(picture !== undefined && { picture }),
    takesPrompts: engine.takesPrompts && !scene.conditions,
    ...(prompts !== undefined && { prompts }),
    classes: scene.conditions ?? classes,
    classNames: scene.conditions === undefined ? classNames : names,
    edits: encodingError(model) === undefined && scene.tokenGrid !== undefined,
    policies: backend.gpu === undefined ? policiesOf(model.transformer) : [],
    guidable: scene.guidedBy !== undefined,
    sampler,
    fingerprint: record.fingerprint,
    record,
    backend: { name: backend.name, description: backend.description, reason: choice.reason },
  };
}
