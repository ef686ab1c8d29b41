/**
 * HiCache, our reading of it: TaylorSeer's differences under Hermite's polynomials, which are contracted.
 *
 * *Source:* arXiv 2508.16984, without code: terms Δʲ ÷ j! · σʲ Hⱼ(σk), with the physicists' Hⱼ. A constant output is
 * forecast exactly whatever σ is; of order 1 with σ = √½ it is TaylorSeer, and exact on lines.
 */

import { atIntervals, forecastFor, OF } from "./forecast_plan.ts";
import type { Policy } from "./policy.ts";
import { taylorForecast } from "./taylorseer.ts";

const SETTINGS = {
  order: { words: "order of the series", or: 2, least: 0, most: 4, whole: true },
  scale: { words: "contraction of the polynomials", or: 0.5, least: 0, most: 1 },
  interval: { words: "steps from one computed step to the next", or: 4, least: 1, whole: true },
  first: { words: "first steps that are all computed", or: 2, least: 1, whole: true },
  of: OF,
} as const;

/** The policy. */
export const HICACHE: Policy<typeof SETTINGS> = {
  words: "forecast outputs by differences under Hermite polynomials (our reading)",
  settings: SETTINGS,
  record: (task, { order, scale, of, ...interval }) => {
    const computed = atIntervals(task.steps, interval);
    const forecast = taylorForecast(
      computed,
      (distance) => hermiteTerms(distance, { order, scale }),
    );
    return Promise.resolve(forecastFor(task, computed, { forecast, of }));
  },
};

/** σʲ Hⱼ(σk) ÷ j! for j = 0, 1, … */
export function hermiteTerms(
  distance: number,
  { order, scale }: { readonly order: number; readonly scale: number },
): readonly number[] {
  const x = scale * distance;
  const polynomials = [1, 2 * x];
  for (let j = 1; j < order; j++) {
    polynomials.push(2 * x * polynomials[j]! - 2 * j * polynomials[j - 1]!); // both are there
  }
  let factor = 1;
  return polynomials.slice(0, order + 1).map((value, j) => {
    if (j > 0) factor *= scale / j;
    return factor * value;
  });
}
