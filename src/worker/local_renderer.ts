/**
 * A renderer on this thread: runs yield to events in between, but each blocks until it is over.
 *
 * @module
 */

import type { PipelineOptions } from "../engine/library.ts";
import { openPipeline, type Pipeline } from "../engine/pipeline.ts";
import { modelCost } from "../engine/plan_target.ts";
import { normalNoise } from "../tensor/random.ts";
import { joinRows } from "../tensor/rows.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Batch, PictureRequest, Rendered, Renderer, RendererFacts } from "./renderer.ts";
import type { RenderOptions } from "./renderer.ts";

/**
 * Opens a model for rendering on this thread.
 *
 * @throws {AssetError | BackendError} As {@linkcode openPipeline}.
 */
export async function openLocalRenderer(options: PipelineOptions = {}): Promise<Renderer> {
  const pipeline = await openPipeline(options);
  try {
    return new LocalRenderer(pipeline, await factsOf(pipeline));
  } catch (error) {
    await pipeline.close();
    throw error;
  }
}

class LocalRenderer implements Renderer {
  constructor(readonly pipeline: Pipeline, readonly facts: RendererFacts) {}

  async render(batch: Batch, options: RenderOptions = {}): Promise<Rendered> {
    const { onStep, previews = false, signal } = options;
    const { latent } = this.facts;
    const run = this.pipeline.steps({
      labels: batch.pictures.map(({ label }) => label),
      guidance: batch.pictures.map(({ guidance }) => guidance),
      noise: noiseOf(batch.pictures, latent),
      steps: batch.steps,
      plan: batch.plan,
      ...(signal !== undefined && { signal }),
    });
    for (let next = await run.next();; next = await run.next()) {
      if (next.done === true) return renderedOf(next.value);
      const { index, steps, kind, seconds, keptBytes, estimate } = next.value;
      onStep?.({ index, steps, kind, seconds, keptBytes, ...(previews && { estimate }) });
    }
  }

  async counts(): Promise<{ values: number; sessions: number }> {
    const { values, sessions } = this.pipeline.backend.live;
    return await Promise.resolve({ values, sessions });
  }

  async close(): Promise<void> {
    await this.pipeline.close();
  }
}

function renderedOf(
  { latents, loopSeconds, conditioningSeconds, peakFeatureBytes, notices }: Rendered,
): Rendered {
  return { latents, loopSeconds, conditioningSeconds, peakFeatureBytes, notices };
}

/** Noise `(n, C, H, W)`, each picture's from its own seed. */
function noiseOf(pictures: readonly PictureRequest[], latent: readonly number[]): Tensor {
  return joinRows(pictures.map(({ seed }) => normalNoise([1, ...latent], seed)));
}

async function factsOf(
  { model, backend, choice, precision: { weights } }: Pipeline,
): Promise<RendererFacts> {
  const { id, transformer, latent, classes, classNames, nullLabel, sampler } = model;
  return {
    id,
    architecture: transformer.architecture,
    modules: transformer.modules.map(({ name }) => name),
    cost: modelCost(transformer),
    latent,
    classes,
    classNames,
    guidable: nullLabel !== undefined || model.embedsGuidance === true,
    sampler,
    fingerprint: await model.fingerprint(),
    ...(weights !== "f32" && { weights }),
    backend: { name: backend.name, description: backend.description, reason: choice.reason },
  };
}
