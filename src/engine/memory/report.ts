/**
 * How much memory a run would take on each backend, computed before anything is loaded.
 */

import type { ModelLocation } from "../../assets/location.ts";
import type { BackendName } from "../../backend/backend.ts";
import type { Model } from "../../model/model.ts";
import { openModel } from "../../model/open_model.ts";
import { AssetError } from "../../errors.ts";
import { compilePlan } from "../../plan/compile.ts";
import type { Plan } from "../../plan/plan.ts";
import { type AutoencoderNeeds, autoencoderNeeds } from "../decode/needs.ts";
import { decodingError } from "../decode/decoding.ts";
import { type MemoryNeeds, memoryNeeds } from "./needs.ts";
import { EMBEDDED_MODEL } from "../embedded_model.ts";
import { keptBytes } from "./kept.ts";
import { sceneOfPlan } from "../plan_facts.ts";
import { roundedLowering, type WeightPrecision } from "../precision/rounded_layers.ts";
import { choosePrecision } from "../precision/choose.ts";
import { type EncoderNeeds, textNeeds } from "../text/needs.ts";
import { type BackendMemory, memoryOn, rowSets, type RunNeeds, runNeeds } from "./run.ts";

/** What a run is, as far as its memory depends on it. */
export interface MemoryRequest {
  /** Directory, URL prefix, safetensors or .pt file, or files in memory; the embedded model unless given. */
  readonly model?: ModelLocation;
  /** Pictures that are generated together; 1 unless given. */
  readonly pictures?: number;
  /** Guidance scale; the model's unless given. 1 runs half as many rows where guiding takes two. */
  readonly guidance?: number;
  /** Sampling steps; the plan's, or the model's. */
  readonly steps?: number;
  /** What is kept between steps; without a plan nothing is. */
  readonly plan?: Plan | undefined;
  /** Precision of the weights; the model's own unless given. */
  readonly weights?: WeightPrecision | undefined;
}

/** What a model's run would take. */
export interface MemoryReport {
  /** The model's short name. */
  readonly id: string;
  /** Precision of the weights. */
  readonly weights: WeightPrecision;
  /** Rows of a batch. */
  readonly rows: number;
  /** Weights of a step. */
  readonly needs: MemoryNeeds;
  /** What a run takes besides. */
  readonly run: RunNeeds;
  /** By backend. */
  readonly backends: readonly BackendMemory[];
  /** Text encoders, which are loaded before the transformer; absent where there are none. */
  readonly encoders?: readonly EncoderNeeds[];
  /** Why the directory's text encoders cannot be used; absent where they can. */
  readonly encodersError?: string;
  /** The halves of its autoencoder, which run one after another beside the transformer; absent where it has none. */
  readonly autoencoder?: readonly AutoencoderNeeds[];
  /** Why its latents cannot become pictures; absent where they can. */
  readonly decodingError?: string;
}

/**
 * Estimates what a run would take; only headers of the model are read.
 *
 * @throws {AssetError} When the model cannot be opened.
 * @throws {PlanError} When the plan is for other modules or cannot be run.
 */
export async function estimateMemory(request: MemoryRequest = {}): Promise<MemoryReport> {
  const model = await openModel(request.model ?? EMBEDDED_MODEL);
  try {
    return { ...memoryReport(model, request), ...await encodersOf(model, request.weights) };
  } finally {
    await model.close();
  }
}

/** The encoders of a model; the transformer runs without them. */
async function encodersOf(
  model: Model,
  weights: WeightPrecision | undefined,
): Promise<Pick<MemoryReport, "encoders" | "encodersError">> {
  try {
    const encoders = await textNeeds(model, weights);
    return encoders.length === 0 ? {} : { encoders };
  } catch (error) {
    if (error instanceof AssetError) return { encodersError: error.message };
    throw error;
  }
}

/** As {@link estimateMemory}, of an opened model, without its text encoders. */
export function memoryReport(model: Model, request: Omit<MemoryRequest, "model">): MemoryReport {
  const { pictures = 1, plan } = request;
  const scene = sceneOfPlan(plan, model);
  const guidance = request.guidance ?? plan?.context.guidance ?? model.sampler.guidance;
  const labels = Array.from({ length: pictures }, (_, i) => i % Math.max(1, model.classes));
  const batch = scene.batch(labels, { time: 0, guidance });
  const { transformer } = scene;
  const rows = batch.length;
  const precision = choosePrecision(model, { wanted: request.weights });
  const lowering = precision === "f32" ? undefined : roundedLowering({ precision });
  const run = runNeeds(transformer, rowSets(transformer, lowering), {
    batch,
    steps: plan?.sampler.times.length ?? request.steps ?? model.sampler.steps,
    kept: plan && keptBytes(compilePlan(plan), { transformer, rows }),
  });
  const needs = memoryNeeds(transformer, lowering);
  const backends = BACKENDS.map((name) => memoryOn(name, needs, run));
  const error = decodingError(model)?.message;
  const [, latentRows = 0, latentColumns = 0] = model.latent;
  const autoencoder = model.autoencoder &&
    autoencoderNeeds(model.autoencoder.vae, [latentRows, latentColumns]);
  return {
    id: model.id,
    weights: precision,
    rows,
    needs,
    run,
    backends,
    ...(autoencoder !== undefined && { autoencoder }),
    ...(error !== undefined && { decodingError: error }),
  };
}

const BACKENDS: readonly BackendName[] = ["wasm", "native", "webgpu"];
