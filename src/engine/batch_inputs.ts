/**
 * What a step is given for the pictures of a batch, and what it predicts for them: both halves of guidance are rows of one
 * batch.
 */

import type { Model } from "../model/model.ts";
import type { Condition } from "../model/module_graph.ts";
import type { Step } from "../plan/compile.ts";
import { firstChannels, guide } from "../sampler/guidance.ts";
import { joinRows, pickRows } from "../tensor/rows.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Values } from "./device_values.ts";
import type { Executor } from "./executor.ts";
import type { FeatureCache } from "./feature_cache.ts";
import type { ResolvedRequest } from "./request.ts";
import type { StepInputs } from "./step_inputs.ts";
import { rowsOfPictures, withRowConstants } from "./value_rows.ts";

/** What a batch is run with. */
export interface BatchRun {
  readonly model: Model;
  readonly executor: Executor;
  readonly request: ResolvedRequest;
  /** One step for each of the request's. */
  readonly steps: readonly Step[];
  /** Keeps what steps store; disposed of at the end. */
  readonly features: FeatureCache;
  /** Also keep what lies between the halves of branches, for calibration. */
  readonly probe?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The inputs of a step: latents once for each half of the guided batch. */
export function stepInputs(
  run: BatchRun,
  { table, latent, ...at }:
    & Pick<StepInputs, "table" | "latent">
    & ({ readonly index: number } | Pick<StepInputs, "batch">),
): StepInputs {
  const { request, features, signal, probe } = run;
  const batch = "batch" in at ? at.batch : batchOf(run, at.index);
  const halves = Array.from({ length: batch.length / request.labels.length }, () => latent);
  const { transformer: { sizes }, tokenGrid: grid } = request.scene;
  return {
    ...{ latent: joinRows(halves), batch, grid, table, features, signal, probe },
    ...(sizes !== undefined && { sizes }),
  };
}

/** The noise that the sampler follows, `(n, C, H, W)`, from a prediction of both halves. */
export function guided(prediction: Tensor, run: BatchRun): Tensor {
  const { labels, scene: { latentDims, channelAxis: axis } } = run.request;
  const channels = { axis, count: latentDims[axis - 1] ?? 0 };
  if (prediction.dims[0] === labels.length) return firstChannels(prediction, channels);
  const { scales, channels: guidedChannels } = guidanceOf(run);
  return guide(prediction, channels, { scale: scales, channels: guidedChannels });
}

/** By picture the scale, and the channels from the first, in which the halves of a batch become one. */
export function guidanceOf(
  { model, request }: Pick<BatchRun, "model" | "request">,
): { readonly scales: readonly number[]; readonly channels: number } {
  const { labels, guidance, scales = labels.map(() => guidance), trueGuidance } = request;
  if (trueGuidance === undefined) {
    return { scales, channels: model.sampler.guidanceChannels ?? ORIGINAL_GUIDED_CHANNELS };
  }
  const { latentDims, channelAxis } = request.scene;
  return { scales: labels.map(() => trueGuidance), channels: latentDims[channelAxis - 1] ?? 0 };
}

/** *Source:* DiT `forward_with_cfg`: "we apply classifier-free guidance on only three channels". */
const ORIGINAL_GUIDED_CHANNELS = 3;

/** Conditions of a batch at a step. */
export function batchOf(
  { request, steps }: Pick<BatchRun, "request" | "steps">,
  index: number,
): Condition[] {
  const { labels, guidance, scales, scene, sampler: { times } } = request;
  const time = times[index]!; // a step of the run
  const next = times.find((other, i) => i > index && other !== time) ?? 0; // Heun's method calls twice at a time
  const moment = { time, length: time - next, left: leftOut(steps[index]) };
  return scene.batch(labels, { ...moment, guidance, scales });
}

/** How many modules a step leaves out. */
function leftOut(step: Step | undefined): number {
  if (step === undefined || !("actions" in step)) return 0;
  return step.actions.filter(({ kind }) => kind === "skip").length;
}

/** A request for some of its pictures, of which there is one at least. */
export function picturesOf(request: ResolvedRequest, pictures: readonly number[]): ResolvedRequest {
  const { labels, seeds, scales, noise } = request;
  const of = <T>(values: readonly T[]): readonly T[] => pictures.map((picture) => values[picture]!);
  return {
    ...request,
    labels: of(labels),
    seeds: of(seeds),
    noise: pickRows(noise, pictures),
    ...(scales !== undefined && { scales: of(scales), guidance: of(scales)[0]! }),
  };
}

/** Some pictures of a batch, which a step runs for. */
export interface BatchPart {
  readonly run: BatchRun;
  /** One of each picture. */
  readonly latent: Tensor;
  readonly constants: Values;
}

/** Does something with some pictures of a batch, as if they were a batch of their own. */
export async function withPart<T>(
  { run, latent, constants }: BatchPart,
  pictures: readonly number[],
  task: (part: BatchPart) => Promise<T>,
): Promise<T> {
  const { request, executor: { backend, transformer: { preparation } } } = run;
  const { labels: { length: all } } = request;
  if (pictures.length === all) return await task({ run, latent, constants });
  const rows = rowsOfPictures(pictures, { of: all, rows: batchOf(run, 0).length }); // as many at all steps
  const part = {
    run: { ...run, request: picturesOf(request, pictures) },
    latent: pickRows(latent, pictures),
  };
  const whose = { backend, preparation, rows };
  return await withRowConstants(constants, whose, (own) => task({ ...part, constants: own }));
}
