/**
 * The input of every mode of calibration, and the plan that is made of its choice.
 */

import type { Engine } from "../engine/engine.ts";
import { planTarget } from "../engine/plan_facts.ts";
import { precisionName } from "../engine/precision/choose.ts";
import { type ConditionOptions, type ResolvedRequest, resolveRequest } from "../engine/request.ts";
import { makePlan, type OwnTimes } from "../plan/fit.ts";
import type { Plan, PlanCalibration, PlanPolicy } from "../plan/plan.ts";
import type { Row } from "../plan/row.ts";
import { normalRows } from "../tensor/random.ts";
import { sliceRows } from "../tensor/rows.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** What to calibrate, on what, and how much to reuse. */
export interface CalibrationTask {
  readonly pipeline: Engine;
  readonly steps: number;
  /** Guidance scale that pictures will be made with. */
  readonly guidance: number;
  readonly conditions: RunConditions;
  /** Quantile level of each kind, 0 (never reuse) … 1: `step` and the kinds of modules. */
  readonly levels: Readonly<Record<string, number>>;
  /** Share of the steps that is never reused at the start; at least one step is not. */
  readonly warmup: number;
  /** Oldest feature that may be loaded, in steps; absent = any. Mode `reference` has no such limit. */
  readonly longest?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called after every recorded step; `total` stays the same. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** Starting points of the recorded runs, one row for each. */
export interface RunConditions {
  /** Classes; for a text-conditioned model, rows of text. */
  readonly labels: readonly number[];
  /** Noise `(n, C, H, W)`, or packed `(n, T, C)`. */
  readonly noise: Tensor;
  /** What labels select from, for a text-conditioned model. */
  readonly given?: ConditionOptions;
  /** Seeds that the noise was made of; empty when it was given. */
  readonly seeds: readonly number[];
}

/** Conditions from seeds: run i has class `i mod classes` and noise of `seed + i`. */
export function seededConditions(
  { model }: Engine,
  { runs, seed }: { readonly runs: number; readonly seed: number },
): RunConditions {
  if (model.classes === 0) {
    throw new RangeError(
      `Cannot calibrate: conditions must be given, since ${model.id} is a text-conditioned model`,
    );
  }
  const seeds = Array.from({ length: runs }, (_, i) => seed + i);
  const noise = normalRows(model.latent, seeds);
  return { labels: seeds.map((_, i) => i % model.classes), noise, seeds };
}

/**
 * Rows `first … first + count - 1` of conditions; fewer at the end.
 *
 * @throws {RangeError} When there are no rows, or labels and noise differ in rows.
 */
export function sliceConditions(
  { labels, noise, seeds, given }: RunConditions,
  first: number,
  count: number,
): RunConditions {
  const [rows = 0] = noise.dims;
  if (labels.length !== rows || rows === 0) {
    throw new RangeError(
      `Cannot calibrate: labels must be at least 1 and as many as rows of noise (${rows}): ` +
        `current value is ${labels.length}`,
    );
  }
  const kept = labels.slice(first, first + count);
  return {
    labels: kept,
    noise: sliceRows(noise, first, kept.length),
    seeds: seeds.slice(first, first + count),
    ...(given !== undefined && { given }),
  };
}

/** The request of runs over these conditions: their labels and noise, in the task's number of steps. */
export function requestOf(
  { pipeline: { model }, conditions: { labels, noise, given }, steps, guidance }: Pick<
    CalibrationTask,
    "pipeline" | "conditions" | "steps" | "guidance"
  >,
): ResolvedRequest {
  return resolveRequest(model, { ...given, labels, noise, steps, guidance });
}

export interface Choice {
  /** One row for each step. */
  readonly rows: readonly Row[];
  /** Guidance scale of the recorded runs. */
  readonly guidance: number;
  readonly policy: PlanPolicy;
  /** How it was recorded, and what was found; absent where it was not recorded. */
  readonly calibration?: Pick<PlanCalibration, "mode" | "thresholds">;
  /** Times and numbers of its own. */
  readonly own?: OwnTimes;
}

/** The plan of a choice, bound to the model that was recorded. */
export async function planOf(task: CalibrationTask, choice: Choice): Promise<Plan> {
  const { sampler: { times }, scene: { tokenGrid: grid } } = requestOf(task);
  const run = {
    times,
    guidance: choice.guidance,
    tokenGrid: grid,
    precision: precisionName(task.pipeline.precision.weights),
  };
  const target = await planTarget(task.pipeline.model, run);
  const { conditions: { labels: conditions, seeds } } = task;
  const { rows, policy, calibration, own } = choice;
  return makePlan(target, rows, {
    policy,
    ...(calibration !== undefined && { calibration: { ...calibration, conditions, seeds } }),
    ...(own !== undefined && { own }),
  });
}
