/**
 * What a plan needs to know of a model: names, cost, sizes.
 */

import type { Model } from "../model/model.ts";
import type { Transformer } from "../model/module_graph.ts";
import type { Scene } from "../model/scene.ts";
import type { FeatureSizes, ModelCost } from "../plan/cost.ts";
import type { PlanTarget } from "../plan/fit.ts";
import type { Plan } from "../plan/plan.ts";
import type { SamplerDefaults } from "../sampler/config.ts";
import { makeSampler } from "../sampler/solvers.ts";
import { elementCount } from "../tensor/tensor.ts";
import { samplerOf } from "./plan_sampler.ts";
import { stateStreams, withBatch } from "./segment/segment.ts";

/** How a request is sampled, as far as a plan depends on it. */
export interface SamplerRun {
  /** Times at which the model is called, noisiest first. */
  readonly times: readonly number[];
  /** How they were chosen; as the model is sampled, unless given. */
  readonly sampling?: SamplerDefaults | undefined;
  /** Sigmas before the shift, where they were given. */
  readonly sigmas?: readonly number[] | undefined;
  readonly guidance: number;
  /** Rows and columns of tokens; the model's own unless given. */
  readonly tokenGrid?: readonly number[] | undefined;
  /** Precision of the weights; `float32` unless given. */
  readonly precision?: string | undefined;
}

/** The times at which a run with a plan calls the model: those that the plan owns, else the sampler's. */
export function plannedTimes(plan: Plan, model: Model): readonly number[] {
  const { tokens } = sceneOfPlan(plan, model);
  return samplerOf(model.sampler, { steps: plan.sampler.times.length, tokens, plan }).times;
}

/** Multiply-accumulates of one row of the batch. */
export function modelCost({ embedding, modules, head }: Transformer): ModelCost {
  return { embed: embedding.macs, head: head.macs, modules: modules.map(({ macs }) => macs) };
}

/** Bytes that a run with this many rows in its batch keeps for each thing it stores. */
export function featureSizes(transformer: Transformer, rows: number): FeatureSizes {
  const { modules, sizes } = transformer;
  const bytes = (shapes: readonly (readonly (number | string)[])[]): number =>
    shapes.reduce((sum, dims) => sum + 4 * elementCount(withBatch(dims, rows, sizes)), 0);
  const state = bytes(stateStreams(transformer).map(({ dims }) => dims));
  return {
    modules: modules.map(({ featureDims }) => bytes(featureDims)),
    hidden: state,
    residual: state,
  };
}

/** The model at the grid that a plan was made for; at its own where it has no other or the plan does not say. */
export function sceneOfPlan(plan: Plan | undefined, model: Model): Scene {
  return model.scene({ grid: model.resizes ? plan?.context.tokenGrid : undefined });
}

/** What a plan for this model and this run must fit. */
export async function planTarget(model: Model, run: SamplerRun): Promise<PlanTarget> {
  const { sampling: sampler = model.sampler } = run;
  const timesOn = (tokenGrid: readonly number[]): readonly number[] => {
    const tokens = tokenGrid.reduce((product, size) => product * size, 1);
    return makeSampler(sampler, { steps: run.times.length, sigmas: run.sigmas, tokens }).times;
  };
  return {
    architecture: model.transformer.architecture,
    modules: model.transformer.modules.map(({ name }) => name),
    fingerprint: await model.fingerprint(),
    sampler: sampler.name,
    times: run.times,
    ...(sampler.shift?.kind === "dynamic" && { timesOn }),
    guidance: run.guidance,
    tokenGrid: run.tokenGrid ?? model.tokenGrid,
    precision: run.precision ?? "float32",
  };
}
