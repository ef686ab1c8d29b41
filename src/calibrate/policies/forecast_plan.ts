/**
 * Plans that compute some steps and forecast the output of the others as a weighted sum of computed ones: what all
 * policies that extrapolate have in common. The solver's rule holds at every step.
 */

import type { StepWeights } from "../../plan/columns.ts";
import type { OwnTimes } from "../../plan/fit.ts";
import { evenRow, FORECAST_ROW } from "../../plan/row.ts";
import { requestOf } from "../task.ts";
import type { PolicyChoice, PolicyTask } from "./policy.ts";
import { type Schedule, scheduleOf } from "./schedule.ts";

/** Weights of computed outputs, the latest first, that stand for the output of a step. */
export type Forecast = (step: number) => readonly number[];

/** When steps are computed at an interval. */
export interface Interval {
  /** So many first steps are computed. */
  readonly first: number;
  /** Steps from one computed step to the next, after those. */
  readonly interval: number;
  /** Steps from the last of the first ones to the next; 0 or absent = the interval. */
  readonly next?: number;
}

/** Digits of a weight in a plan: more would be less than a float32 of the latent. */
const DIGITS = 8;

/** By step: whether it is computed. */
export function atIntervals(
  steps: number,
  { first, interval, next = 0 }: Interval,
): readonly boolean[] {
  const begin = first - 1 + (next || interval);
  return Array.from(
    { length: steps },
    (_, step) => step < first || (step >= begin && (step - begin) % interval === 0),
  );
}

/** The computed steps before a step, the latest first. */
export function computedBefore(computed: readonly boolean[], step: number): readonly number[] {
  return computed.slice(0, step).flatMap((each, i) => each ? [i] : []).toReversed();
}

/** Rows and columns of a run that forecasts, at the times of a schedule. */
export function forecastPlan(
  computed: readonly boolean[],
  forecast: Forecast,
  { schedule, modules }: { readonly schedule: Schedule; readonly modules: number },
): Required<Pick<PolicyChoice, "rows" | "own">> {
  const full = evenRow("run", modules);
  const weights = computed.map((each, step): StepWeights =>
    each ? null : [0, ...forecast(step).map((weight) => Number(weight.toPrecision(DIGITS)))]
  );
  const forecasts = computed.includes(false);
  return {
    rows: computed.map((each) => each ? full : FORECAST_ROW),
    own: { ...schedule, ...(forecasts && { columns: { forecast: weights } }) },
  };
}

/** The same for a model, beside the run in full. */
export function forecastFor(
  task: PolicyTask,
  computed: readonly boolean[],
  forecast: Forecast,
): PolicyChoice {
  const { pipeline: { model: { sampler, transformer } }, steps } = task;
  const { scene: { tokens } } = requestOf(task);
  const schedule = scheduleOf(sampler, { steps, tokens });
  const { length: modules } = transformer.modules;
  const { rows, own } = forecastPlan(computed, forecast, { schedule, modules });
  const reference: OwnTimes["reference"] = { sampler: sampler.name, steps };
  return { rows, own: { ...own, reference } };
}
