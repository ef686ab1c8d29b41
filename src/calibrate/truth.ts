/**
 * The truth that pictures are measured against: the converged solution of the same noise and condition, which any
 * solver comes to when its steps are small enough.
 *
 * Where noise is predicted it is what agrees with 1,000 steps of DDIM, on a flow what halving the step does not change
 * any more. Which solver and how many steps that takes is found once for a model, on a few conditions, and kept with
 * the solutions.
 */

import { MAX_BATCH } from "../engine/max_batch.ts";
import type { Engine } from "../engine/engine.ts";
import { precisionName } from "../engine/precision/choose.ts";
import { runToEnd } from "../engine/run.ts";
import { fullSteps } from "../engine/segment/step_segments.ts";
import { TRAIN_STEPS } from "../sampler/noise_schedule.ts";
import type { Sampler } from "../sampler/sampler.ts";
import { hasFixedTimes, makeSampler } from "../sampler/solvers.ts";
import { joinRows, sliceRows } from "../tensor/rows.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { meanSquare } from "../image/psnr.ts";
import { nodesOf } from "./converged.ts";
import { mean } from "./median.ts";
import { picturesOf, psnrOf } from "./pictures.ts";
import { requestOf, type RunConditions, sliceConditions } from "./task.ts";
import { conditionKey, type KeptSolver, keptTruth, type TruthStore } from "./truth_store.ts";

/** Whose truth to tell. */
export interface TruthTask {
  readonly pipeline: Engine;
  readonly conditions: RunConditions;
  readonly guidance: number;
  /** Keeps solutions; without one they are computed anew. */
  readonly store?: TruthStore | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Hears what is done, in words, before it is done. */
  readonly onStage?: ((what: string) => void) | undefined;
}

/** The converged solution of some conditions. */
export interface Truth {
  /** Final latents, a row for each condition. */
  readonly latents: Tensor;
  /** Their pictures `(n, 1 or 3, H, W)`; latents where nothing decodes them. */
  readonly pictures: Tensor;
  /** What made it. */
  readonly solver: KeptSolver;
}

/** Pictures that a solver is chosen on. */
const PROBES = 2;
/** PSNR in dB at which two solutions count as one. */
const AGREED_DB = 60;
/** Calls that are tried where noise is predicted. */
const NOISE_CALLS = [32, 48, 64, 96, 128, 160, 200, 256, 320, 400];
/** Calls that are tried on a flow, each twice those before. */
const FLOW_CALLS = [16, 32, 64, 128, 256, 512];

/**
 * The converged solution of every condition, from the store as far as it is there.
 *
 * @throws {RangeError} When labels or guidance are out of range, or there are no conditions.
 */
export async function convergedSolution(task: TruthTask): Promise<Truth> {
  const { conditions, store, onStage } = task;
  const { scene, sampling } = request(task, conditions);
  const { pipeline: { model, precision }, guidance } = task;
  const kept = keptTruth(store, {
    model: await model.fingerprint(),
    precision: precision.products === "f16" ? "float16" : precisionName(precision.weights),
    sampling,
    guidance,
  });
  const solver = await kept.solver() ?? await kept.keepSolver(await chooseSolver(task));
  const rows: Tensor[] = [];
  for (let first = 0; first < conditions.labels.length; first += MAX_BATCH) {
    const batch = sliceConditions(conditions, first, MAX_BATCH);
    const keys = await Promise.all(batch.labels.map((_, row) => conditionKey(batch, row, scene)));
    const known = await Promise.all(keys.map((key) => kept.latents(solver, key)));
    const size = batch.noise.data.length / keys.length;
    if (known.every((latents) => latents?.length === size)) {
      rows.push({ dims: batch.noise.dims, data: joined(known) });
      continue;
    }
    onStage?.(`converged solution, ${solver.calls} calls, pictures from ${first}`);
    const latents = await solve(task, batch, samplerOf(task, solver.calls));
    rows.push(latents);
    for (const [row, key] of keys.entries()) {
      await kept.keepLatents(solver, key, sliceRows(latents, row, 1).data);
    }
  }
  const latents = joinRows(rows);
  return { latents, pictures: await picturesOf(latents, { ...task, scene }), solver };
}

/** The fewest calls that are enough. */
async function chooseSolver(task: TruthTask): Promise<KeptSolver> {
  const { pipeline, onStage } = task;
  const probes = sliceConditions(task.conditions, 0, PROBES);
  const { scene, sampling } = request(task, probes);
  const pictures = async (sampler: Sampler): Promise<Tensor> => {
    onStage?.(`looking for a converged solution: ${sampler.times.length} calls`);
    return await picturesOf(await solve(task, probes, sampler), { ...task, scene });
  };
  const agreement = (a: Tensor, b: Tensor): number => mean(psnrOf(pipeline, a, b));
  if (!hasFixedTimes(sampling.name)) {
    let [before, last] = [await pictures(samplerOf(task, FLOW_CALLS[0]!)), 0];
    for (const calls of FLOW_CALLS.slice(1)) {
      const finer = await pictures(samplerOf(task, calls));
      last = agreement(before, finer);
      if (last >= AGREED_DB) return { calls, agreementDb: last };
      before = finer;
    }
    return { calls: FLOW_CALLS.at(-1)!, agreementDb: last };
  }
  const reference = await pictures(ddimOf(task));
  for (const calls of NOISE_CALLS) {
    const agreementDb = agreement(await pictures(samplerOf(task, calls)), reference);
    if (agreementDb >= AGREED_DB) return { calls, agreementDb };
  }
  return { calls: TRAIN_STEPS, agreementDb: Infinity };
}

/** The solver of so many calls. */
function samplerOf(task: TruthTask, calls: number): Sampler {
  if (calls === TRAIN_STEPS) return ddimOf(task);
  const { sampling, scene: { tokens } } = request(task, task.conditions);
  return nodesOf(sampling, { tokens, count: calls }).sampler;
}

/** DDIM at every time of training. */
function ddimOf(task: TruthTask): Sampler {
  const { sampling } = request(task, task.conditions);
  const times = Array.from({ length: TRAIN_STEPS }, (_, i) => TRAIN_STEPS - 1 - i);
  return makeSampler({ ...sampling, name: "ddim" }, { steps: TRAIN_STEPS, times, tokens: 0 });
}

/** Final latents of a run in full. */
async function solve(
  task: TruthTask,
  conditions: RunConditions,
  sampler: Sampler,
): Promise<Tensor> {
  const { pipeline, signal } = task;
  const { length } = sampler.times;
  const run = pipeline.run({
    request: { ...request(task, conditions), steps: length, sampler },
    choice: { reason: "converged" },
    steps: fullSteps(length, pipeline.model.transformer.modules.length),
    prompts: [],
    notices: [],
  }, { output: "latents", signal });
  return (await runToEnd(run)).latents;
}

function request(
  { pipeline, guidance }: TruthTask,
  conditions: RunConditions,
): ReturnType<typeof requestOf> {
  return requestOf({ pipeline, conditions, guidance, steps: pipeline.model.sampler.steps });
}

/** PSNR in dB, and mean square error of latents, of each picture to the converged solution. */
export interface ToTruth {
  /** PSNR in dB of its picture. */
  readonly psnrDb: readonly number[];
  /** Mean of the squared differences of its latents. */
  readonly latentMse: readonly number[];
}

/** How near latents and their pictures come to the truth. */
export function nearnessTo(
  truth: Truth,
  { pipeline, latents, pictures }: {
    readonly pipeline: Engine;
    readonly latents: Tensor;
    readonly pictures: Tensor;
  },
): ToTruth {
  const size = latents.data.length / truth.latents.dims[0]!; // there is a picture
  const rowOf = ({ data }: Tensor, row: number): Float32Array =>
    data.subarray(row * size, (row + 1) * size);
  const psnrDb = psnrOf(pipeline, pictures, truth.pictures);
  return {
    psnrDb,
    latentMse: psnrDb.map((_, row) => meanSquare(rowOf(latents, row), rowOf(truth.latents, row))),
  };
}

function joined(rows: readonly (Float32Array | undefined)[]): Float32Array {
  return Float32Array.from(rows.flatMap((row) => [...row ?? []]));
}
