/**
 * Mode `guided`, the default: reuse until the accumulated error of inference reaches a threshold.
 *
 * The error of loading, at step k, what was computed at step h is measured: the drift of
 * {@linkcode recordDrift}, where h is the very step that the choices made so far leave there. A threshold on
 * this score alone makes poor plans, worse than reusing every second step; two things mend it:
 *
 * 1. *Weight.* A prediction's error moves the latent by the sampler's coefficient of the prediction at
 *    that step, so the score is multiplied by it. Hidden states drift fastest in the last steps, but the
 *    first ones move the latent farthest.
 * 2. *Sum.* Errors of consecutive reuse point the same way and add up in the latent, so the sum since the
 *    last computed step is held against the threshold, not the single score.
 *
 * A reused step reuses the feature of every module on a fresh embedding with fresh gates (a row of `r`)
 * instead of the hidden state as it was: its arithmetic is below one percent of a full step's and, unlike
 * a kept hidden state, it sees the latent. The last step is not protected: its weight already accounts for it.
 */

import { grouped } from "../../grouped.ts";
import type { Plan } from "../../plan/plan.ts";
import { reuseRow, type Row } from "../../plan/row.ts";
import { type CalibrationTask, planOf, requestOf } from "../task.ts";
import { type Drift, recordDrift } from "./drift.ts";
import { levelOf, warmupSteps } from "../reference/invardiff.ts";
import { levelParameters } from "../levels.ts";

export interface GuidedSettings {
  /**
   * Shares to reuse, 0 … 1: `step` of the steps after the first; of each kind, the share of its modules in
   * steps that are not reused as a whole. Where errors are equal fewer are reused.
   */
  readonly levels: Readonly<Record<string, number>>;
  /** Share of the steps that is never reused at the start; at least one step is not. */
  readonly warmup: number;
  /** Oldest feature that may be loaded, in steps; absent = any. */
  readonly longest?: number | undefined;
  /** By step: how far the latent moves for a change of the prediction by one. */
  readonly weights: readonly number[];
}

/** Rows with the thresholds that gave them. */
export interface GuidedChoice {
  /** By kind: threshold of the sum of weighted errors since the last computed step. */
  readonly thresholds: Readonly<Record<string, number>>;
  /** One row for each step. */
  readonly rows: readonly Row[];
}

/**
 * Calibrates on the guided trajectory.
 *
 * @throws {PlanError} When a feature is not finite; names step and module.
 * @throws {RangeError} When a level is absent or not in 0 … 1, or there are no conditions.
 */
export async function calibrateGuided(task: CalibrationTask): Promise<Plan> {
  return await guidedPlan(task, guidedChoice(await recordDrift(task), guidedSettings(task)));
}

export async function guidedPlan(task: CalibrationTask, choice: GuidedChoice): Promise<Plan> {
  const { levels, warmup, longest } = task;
  return await planOf(task, {
    rows: choice.rows,
    guidance: task.guidance,
    policy: {
      name: "guided",
      parameters: {
        ...levelParameters(levels),
        warmup,
        ...(longest !== undefined && { longest }),
      },
    },
    calibration: { mode: "guided", thresholds: choice.thresholds },
  });
}

/** Settings of a task; the weights are those of its sampler. */
export function guidedSettings(task: CalibrationTask): GuidedSettings {
  const { levels, warmup, longest } = task;
  return { levels, warmup, longest, weights: requestOf(task).sampler.weights };
}

/**
 * Chooses steps first, then modules of the steps that are computed.
 *
 * @param drifts As {@linkcode recordDrift} returns them: the hidden state first.
 * @throws {RangeError} When a level is absent or not in 0 … 1, or the warm-up is negative.
 */
export function guidedChoice(drifts: readonly Drift[], settings: GuidedSettings): GuidedChoice {
  const [hidden, ...modules] = drifts;
  const thresholds: Record<string, number> = {};
  const whole: readonly boolean[] = settings.weights.map(() => false);
  const steps = chooseKind("step", [hidden!], { settings, whole, thresholds })[0]!; // one trajectory
  const masks = new Map<Drift, readonly boolean[]>();
  for (const [kind, members] of grouped(modules, (module) => module.kind)) {
    const chosen = chooseKind(kind, members, { settings, whole: steps, thresholds });
    members.forEach((member, i) => masks.set(member, chosen[i]!));
  }
  const rows = settings.weights.map((_, t) =>
    reuseRow(modules.map((module) => masks.get(module)![t]!)) // set above
  );
  return { thresholds, rows };
}

interface KindOptions {
  readonly settings: GuidedSettings;
  /** Steps that are reused as a whole. */
  readonly whole: readonly boolean[];
  /** Receives the threshold of this kind. */
  readonly thresholds: Record<string, number>;
}

/** Masks of all trajectories of a kind: the largest threshold that reuses no more than its level. */
function chooseKind(
  kind: string,
  members: readonly Drift[],
  { settings, whole, thresholds }: KindOptions,
): readonly (readonly boolean[])[] {
  const open = whole.slice(1).filter((reused) => !reused).length;
  const wanted = Math.round(levelOf(kind, settings.levels) * open * members.length);
  const masksAt = (threshold: number): readonly (readonly boolean[])[] =>
    members.map((drift) => reuseUntil(drift, threshold, { settings, whole }));
  const reusedAt = (threshold: number): number =>
    masksAt(threshold).flat().filter(Boolean).length -
    members.length * (whole.length - 1 - open);
  const threshold = largestThreshold(largestSum(members, settings.weights), wanted, reusedAt);
  thresholds[kind] = threshold;
  return masksAt(threshold);
}

/** Reuses steps as long as the sum of weighted errors since the last computed step is below the threshold. */
function reuseUntil(
  { scores }: Drift,
  threshold: number,
  { settings, whole }: Pick<KindOptions, "settings" | "whole">,
): readonly boolean[] {
  const { weights, longest = Infinity, warmup } = settings;
  const first = warmupSteps(warmup, weights.length);
  let held = 0;
  let sum = 0;
  return weights.map((weight, step) => {
    if (step === 0) return false;
    sum += weight * scores[held]![step]!; // held < step
    if (whole[step]) return true;
    const oldest = endOfReuse(whole, step) - held;
    if (sum < threshold && step >= first && oldest <= longest) return true;
    held = step;
    sum = 0;
    return false;
  });
}

/** The last of the whole-step reuses that follow a step and load what it stored. */
function endOfReuse(whole: readonly boolean[], step: number): number {
  let end = step;
  while (whole[end + 1]) end++;
  return end;
}

/** By bisection; the number that is reused grows with the threshold. */
function largestThreshold(
  largest: number,
  wanted: number,
  reusedAt: (threshold: number) => number,
): number {
  if (wanted === 0) return 0;
  let [below, above] = [0, largest];
  if (reusedAt(above) <= wanted) return above;
  for (let i = 0; i < 60; i++) { // to the last bits of a double
    const middle = (below + above) / 2;
    if (reusedAt(middle) <= wanted) below = middle;
    else above = middle;
  }
  return below;
}

/** An upper bound of all sums of weighted errors. */
function largestSum(members: readonly Drift[], weights: readonly number[]): number {
  const worst = members.flatMap(({ scores }) => scores)
    .reduce((most, row) => row.reduce((a, b) => Math.max(a, b), most), 0);
  return 1 + worst * weights.reduce((sum, weight) => sum + weight, 0);
}
