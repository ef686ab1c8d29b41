/**
 * A plan against full computation: the same pictures both ways, in turn, timed and compared.
 */

import type { Generated } from "../engine/generated.ts";
import type { GenerateOptions } from "../engine/request.ts";
import { MAX_BATCH } from "../engine/max_batch.ts";
import type { Engine } from "../engine/engine.ts";
import { resolveRequest } from "../engine/request.ts";
import { type KeptBytes, keptBytes } from "../engine/memory/kept.ts";
import { modelCost } from "../engine/plan_facts.ts";
import { compilePlan } from "../plan/compile.ts";
import { predictSpeedup } from "../plan/cost.ts";
import type { Plan } from "../plan/plan.ts";
import { rowsPerPicture } from "../model/scene.ts";
import { joinRows } from "../tensor/rows.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { picturesOf, psnrOf } from "./pictures.ts";
import { convergedSolution, nearnessTo, type ToTruth, type TruthTask } from "./truth.ts";
import type { KeptSolver } from "./truth_store.ts";
import { type RunConditions, sliceConditions } from "./task.ts";
import { ssim } from "../image/ssim.ts";
import { median } from "./median.ts";
import { runToEnd } from "../engine/run.ts";

export interface ComparisonTask {
  readonly pipeline: Engine;
  /** The plan; compared with the full run that it names as its reference, else of as many steps. */
  readonly plan: Plan;
  /** One picture for each row. */
  readonly conditions: RunConditions;
  /** How often every picture is made each way; times are medians over the rounds. */
  readonly rounds: number;
  /** Measures against the converged solution as well; where solutions are kept, if anywhere. */
  readonly truth?: Pick<TruthTask, "store" | "onStage"> | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called after each of the {@linkcode comparedSteps}. */
  readonly onProgress?: ((done: number) => void) | undefined;
}

/** Seconds that all pictures took one way: medians over the rounds. */
export interface Timing {
  /** Sampling loops, from first to last step. */
  readonly loopSeconds: number;
  /** Conditioning, ahead of the loops. */
  readonly conditioningSeconds: number;
  /** Everything from request to latents. */
  readonly endToEndSeconds: number;
}

/** What a comparison found. */
export interface Comparison {
  /** Sampling steps of the full run. */
  readonly steps: number;
  /** Guidance scale. */
  readonly guidance: number;
  /** Most pictures of one batch. */
  readonly batch: number;
  /** Without the plan. */
  readonly full: Timing;
  /** With the plan. */
  readonly planned: Timing;
  /** Measured speed-up of conditioning and loops. */
  readonly measuredSpeedup: number;
  /** Predicted speed-up: arithmetic of full steps ÷ that of the plan. */
  readonly predictedSpeedup: number;
  /** PSNR in dB of each picture against that of the full run. */
  readonly psnrDb: readonly number[];
  /** SSIM of each picture against that of the full run. */
  readonly ssim: readonly number[];
  /** How near both ways come to the converged solution, where that was asked for. */
  readonly truth?: {
    /** What made it. */
    readonly solver: KeptSolver;
    /** Without the plan. */
    readonly full: ToTruth;
    /** With the plan. */
    readonly planned: ToTruth;
  };
  /** The most bytes of features and states kept at any moment. */
  readonly peakFeatureBytes: { readonly measured: number; readonly predicted: number };
  /** Pictures of both ways, `(n, 1 or 3, H, W)`; latents where nothing decodes them. */
  readonly pictures: { readonly full: Tensor; readonly planned: Tensor };
  /** Circumstances in which the runs differ from the plan's calibration. */
  readonly notices: readonly string[];
}

/**
 * Makes all pictures without and with the plan, batch by batch in turn, round by round. One picture is made
 * both ways first, so that everything is loaded; it is not counted.
 *
 * @throws {PlanError} When the plan does not fit the model.
 * @throws {RangeError} When rounds is not a whole number of at least 1, or a condition is out of range.
 */
export async function comparePlan(task: ComparisonTask): Promise<Comparison> {
  const { plan, conditions, rounds } = task;
  if (!Number.isInteger(rounds) || rounds < 1) {
    throw new RangeError(
      `Cannot compare: rounds must be a whole number >= 1: current value is ${rounds}`,
    );
  }
  const batches = inBatches(conditions);
  const drive = driver(task);
  await drive(sliceConditions(conditions, 0, 1));
  const pairs: Pair[][] = [];
  for (let round = 0; round < rounds; round++) {
    const row: Pair[] = [];
    for (const batch of batches) row.push(await drive(batch));
    pairs.push(row);
  }
  const last = pairs.at(-1)!; // there is at least one round
  const { steps, guidance, labels } = last[0]!.full.generated; // of at least one batch
  const { notices } = last[0]!.planned.generated;
  const timing = { full: timingOf(pairs, "full"), planned: timingOf(pairs, "planned") };
  const compiled = compilePlan(plan);
  const { labels: all, noise, given } = conditions;
  const { scene } = resolveRequest(task.pipeline.model, { ...given, labels: all, noise, plan });
  const { transformer } = scene;
  const latents = { full: latentsOf(last, "full"), planned: latentsOf(last, "planned") };
  const pictures = {
    full: await picturesOf(latents.full, { ...task, scene }),
    planned: await picturesOf(latents.planned, { ...task, scene }),
  };
  const truth = task.truth && await toTruth(task, { guidance, latents, pictures });
  const rows = labels.length * rowsPerPicture(scene, guidance);
  return {
    steps,
    guidance,
    batch: labels.length,
    ...timing,
    measuredSpeedup: pictureSeconds(timing.full) / pictureSeconds(timing.planned),
    predictedSpeedup: predictSpeedup(compiled, modelCost(transformer)),
    psnrDb: psnrOf(task.pipeline, pictures.planned, pictures.full),
    ssim: ssim(pictures.planned, pictures.full),
    ...(truth !== undefined && { truth }),
    peakFeatureBytes: {
      measured: Math.max(...last.map(({ planned }) => planned.generated.peakFeatureBytes)),
      predicted: keptOn(task.pipeline, keptBytes(compiled, { transformer, rows })),
    },
    pictures,
    notices,
  };
}

/** What is kept at most, by how a backend keeps it. */
function keptOn({ backend }: Engine, { places, features }: KeptBytes): number {
  return backend.gpu === undefined ? features : places;
}

/** Both ways against the converged solution. */
async function toTruth(
  { pipeline, conditions, signal, truth: about }: ComparisonTask,
  { guidance, latents, pictures }:
    & Readonly<Record<"latents" | "pictures", Comparison["pictures"]>>
    & {
      readonly guidance: number;
    },
): Promise<Comparison["truth"]> {
  const truth = await convergedSolution({ pipeline, conditions, guidance, signal, ...about });
  const of = (way: keyof Comparison["pictures"]): ToTruth =>
    nearnessTo(truth, { pipeline, latents: latents[way], pictures: pictures[way] });
  return { solver: truth.solver, full: of("full"), planned: of("planned") };
}

/** Seconds without opening anything and decoding. */
function pictureSeconds({ loopSeconds, conditioningSeconds }: Timing): number {
  return loopSeconds + conditioningSeconds;
}

function latentsOf(pairs: readonly Pair[], way: keyof Pair): Tensor {
  return joinRows(pairs.map((pair) => pair[way].generated.latents));
}

/** Steps of all runs of a comparison: the plan's, and those of the full run that it is compared with. */
export function comparedSteps({ plan, conditions, rounds }: ComparisonTask): number {
  return (fullSteps(plan) + plan.rows.length) * (1 + rounds * inBatches(conditions).length);
}

/** Steps of the full run. */
function fullSteps({ reference, rows }: Plan): number {
  return reference?.steps ?? rows.length;
}

/** Batches of nearly equal size, the largest first. */
function inBatches(conditions: RunConditions): RunConditions[] {
  const count = conditions.labels.length;
  const size = Math.ceil(count / Math.ceil(count / MAX_BATCH));
  return Array.from(
    { length: Math.ceil(count / size) },
    (_, i) => sliceConditions(conditions, i * size, size),
  );
}

/** One run and how long it took from request to latents. */
interface Timed {
  readonly generated: Generated;
  readonly endToEndSeconds: number;
}

/** A batch without and with the plan. */
interface Pair {
  readonly full: Timed;
  readonly planned: Timed;
}

/** Runs batches both ways, and counts steps over all runs. */
function driver(
  { pipeline, plan, signal, onProgress }: ComparisonTask,
): (batch: RunConditions) => Promise<Pair> {
  const { guidance } = plan.context;
  let done = 0;
  const run = async (options: GenerateOptions): Promise<Timed> => {
    const started = performance.now();
    const generated = await runToEnd(pipeline.steps(options), () => onProgress?.(++done));
    return { generated, endToEndSeconds: (performance.now() - started) / 1000 };
  };
  return async ({ labels, noise, given }) => {
    const options = {
      ...given,
      labels,
      noise,
      guidance,
      signal,
      output: "latents" as const, // pictures are decoded once, after the last round
    };
    return {
      full: await run({ ...options, steps: fullSteps(plan), plan: "none" }),
      planned: await run({ ...options, plan }),
    };
  };
}

/** Sums over the batches of a round, medians over the rounds. */
function timingOf(pairs: readonly (readonly Pair[])[], way: keyof Pair): Timing {
  const total = (seconds: (timed: Timed) => number): number =>
    median(pairs.map((round) => round.reduce((sum, pair) => sum + seconds(pair[way]), 0)));
  return {
    loopSeconds: total(({ generated }) => generated.loopSeconds),
    conditioningSeconds: total(({ generated }) => generated.conditioningSeconds),
    endToEndSeconds: total(({ endToEndSeconds }) => endToEndSeconds),
  };
}
