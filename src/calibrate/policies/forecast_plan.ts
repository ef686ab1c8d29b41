/**
 * Plans that compute some steps and forecast the others, what is put out or every feature, as weighted sums: what all
 * policies that extrapolate have in common. The solver's rule holds at every step.
 */

import type { StepWeights } from "../../plan/columns.ts";
import type { OwnTimes } from "../../plan/fit.ts";
import { evenRow, FORECAST_ROW } from "../../plan/row.ts";
import { requestOf } from "../task.ts";
import type { Setting } from "../../engine/policies/settings.ts";
import type { PolicyChoice, PolicyTask } from "./policy.ts";
import { rowsWhere } from "./rows.ts";
import { samplerAtTimes, type Schedule, scheduleOf } from "./schedule.ts";

/** Weights of computed steps, the latest first, that stand for another step. */
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

/** What is forecast: what the model puts out, so that it is not called, or the feature of every module. */
export type Forecasts = "outputs" | "features";

/** A setting that says which. */
export const OF: Setting = {
  words: "what is forecast: 0 the model's outputs, 1 the features of all modules",
  ...{ or: 0, least: 0, most: 1, whole: true },
};

export interface ForecastOptions {
  readonly schedule: Schedule;
  readonly modules: number;
  /** Outputs unless given. */
  readonly of?: Forecasts;
}

/** Rows and columns of a run that forecasts, at the times of a schedule. */
export function forecastPlan(
  computed: readonly boolean[],
  forecast: Forecast,
  { schedule, modules, of = "outputs" }: ForecastOptions,
): Required<Pick<PolicyChoice, "rows" | "own">> {
  const weights = computed.map((each, step): StepWeights =>
    each ? null : forecast(step).map((weight) => Number(weight.toPrecision(DIGITS)))
  );
  const columns = of === "outputs"
    ? { forecast: weights.map((list) => list && [0, ...list]) } // nothing of the latent
    : { features: weights.map((list) => list && [list]) }; // alike for all modules
  const other = of === "outputs" ? FORECAST_ROW : evenRow("extrapolate", modules);
  return {
    rows: rowsWhere(computed, { modules, other }),
    own: { ...schedule, ...(computed.includes(false) && { columns }) },
  };
}

/** The same for a model, beside the run in full. @throws {RangeError} When its solver takes no times of a plan. */
export function forecastFor(
  task: PolicyTask,
  computed: readonly boolean[],
  { forecast, of }: { readonly forecast: Forecast; readonly of?: number },
): PolicyChoice {
  const { pipeline: { model: { sampler, transformer } }, steps } = task;
  const { scene: { tokens } } = requestOf(task);
  const schedule = scheduleOf(sampler, { steps, tokens });
  samplerAtTimes(sampler, { ...schedule, tokens }); // refuses a solver that takes no times of a plan
  const { rows, own } = forecastPlan(computed, forecast, {
    schedule,
    modules: transformer.modules.length,
    of: of === 1 ? "features" : "outputs",
  });
  const reference: OwnTimes["reference"] = { sampler: sampler.name, steps };
  return { rows, own: { ...own, reference } };
}
