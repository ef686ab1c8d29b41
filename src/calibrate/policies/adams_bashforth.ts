/**
 * Predictive feature caching: the output between computed steps continues the polynomial through the last computed
 * ones. With steps one apart that is Adams–Bashforth's 2F₁ − F₂ or 3F₁ − 3F₂ + F₃; the weights here take any distances
 * into account, so they are exact on polynomials of their order at any interval.
 *
 * *Source:* arXiv 2510.04646, without code; that only computed outputs are looked at is our reading.
 */

import { atIntervals, computedBefore, type Forecast, forecastFor, OF } from "./forecast_plan.ts";
import type { Policy } from "./policy.ts";

const SETTINGS = {
  outputs: {
    words: "computed outputs that a forecast looks at",
    or: 3,
    least: 1,
    most: 8,
    whole: true,
  },
  interval: { words: "steps from one computed step to the next", or: 2, least: 1, whole: true },
  first: { words: "first steps that are all computed", or: 3, least: 1, whole: true },
  of: OF,
} as const;

/** The policy. */
export const ADAMS_BASHFORTH: Policy<typeof SETTINGS> = {
  words: "forecast outputs by the polynomial through the last ones",
  settings: SETTINGS,
  record: (task, { outputs, of, ...interval }) => {
    const computed = atIntervals(task.steps, interval).with(-1, true); // as published
    const forecast = lagrangeForecast(computed, outputs);
    return Promise.resolve(forecastFor(task, computed, { forecast, of }));
  },
};

/** Forecasts by Lagrange's weights of so many computed steps, or of as many as there are. */
export function lagrangeForecast(computed: readonly boolean[], outputs: number): Forecast {
  return (step) => {
    const nodes = computedBefore(computed, step).slice(0, outputs);
    return nodes.map((node) =>
      nodes.reduce((all, other) => other === node ? all : all * (step - other) / (node - other), 1)
    );
  };
}
