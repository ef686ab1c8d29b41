/**
 * TaylorSeer: the output between computed steps is extrapolated by finite differences, as by a Taylor series.
 *
 * *Source:* arXiv 2503.06923 and its published code. Differences are taken as there: each is divided by the distance
 * of the two computed steps that it is between, and the series has kʲ ÷ j!. So of order 1 it is exact on lines; of
 * order 2 and more it is not on curves, for it is no interpolation.
 */

import { atIntervals, computedBefore, type Forecast, forecastFor, OF } from "./forecast_plan.ts";
import type { Policy } from "./policy.ts";

const SETTINGS = {
  order: { words: "order of the series", or: 1, least: 0, most: 4, whole: true },
  interval: { words: "steps from one computed step to the next", or: 4, least: 1, whole: true },
  first: { words: "first steps that are all computed", or: 2, least: 1, whole: true },
  next: {
    words: "steps from those to the next, 2 in diffusers; 0 = interval",
    or: 0,
    least: 0,
    whole: true,
  },
  of: OF,
} as const;

/** The policy. */
export const TAYLORSEER: Policy<typeof SETTINGS> = {
  words: "forecast outputs by finite differences",
  settings: SETTINGS,
  record: (task, { order, of, ...interval }) => {
    const computed = atIntervals(task.steps, interval);
    const forecast = taylorForecast(computed, (distance) => powers(distance, order));
    return Promise.resolve(forecastFor(task, computed, { forecast, of }));
  },
};

/** What a series weighs differences of order 0, 1, … by, so many steps after the last computed one. */
export type Basis = (distance: number) => readonly number[];

/** A Taylor series: kʲ ÷ j!. */
export function powers(distance: number, order: number): readonly number[] {
  const terms = [1];
  for (let j = 1; j <= order; j++) terms.push(terms[j - 1]! * distance / j);
  return terms;
}

/**
 * Forecasts by recursive differences of computed steps, each a weighted sum of their outputs.
 *
 * @param basis As many terms as there are orders; where there are fewer differences, the others are left out.
 */
export function taylorForecast(computed: readonly boolean[], basis: Basis): Forecast {
  return (step) => {
    const steps = computedBefore(computed, step);
    const terms = basis(step - steps[0]!); // the first step is computed
    const differences = differencesOf(steps, terms.length);
    return Array.from(
      { length: differences.length },
      (_, output) =>
        differences.reduce((all, weights, j) => all + terms[j]! * (weights[output] ?? 0), 0), // no more than terms
    );
  };
}

/** By order: a difference at the latest of the computed steps, as weights of the outputs from there back. */
function differencesOf(
  steps: readonly number[],
  orders: number,
): readonly (readonly number[])[] {
  const [now, before] = steps;
  if (orders === 0 || now === undefined) return [];
  if (before === undefined || orders === 1) return [[1]];
  const [newer, older] = [
    differencesOf(steps, orders - 1),
    differencesOf(steps.slice(1), orders - 1),
  ];
  const higher = older.map((weights, j) =>
    [0, ...weights].map((weight, i) => ((newer[j]![i] ?? 0) - weight) / (now - before)) // it has at least as many
  );
  return [[1], ...higher];
}
