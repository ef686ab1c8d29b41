/**
 * A sampler whose steps follow weights from a plan: the next latent is a weighted sum of this one and of the
 * latest outputs of the model.
 */

import { linearSampler } from "./linear.ts";
import { combine, kept as keptAt, LATENT, PREDICTION, type Weights } from "./linear_step.ts";
import type { Sampler } from "./sampler.ts";

/** What a plan says of a sampler's steps. */
export interface PlannedSteps {
  /** By step: `[a, c₀ … c_m]` for a·x + Σ c_k · (k-th last output of the model); `null` is the solver's rule. */
  readonly update: readonly (readonly number[] | null)[];
  /** By step: such weights where they stand for the output and the model is not called; `null` where it is. */
  readonly forecast: readonly (readonly number[] | null)[];
  /** By step: how many of the latest outputs later steps weigh. */
  readonly kept: readonly number[];
}

/**
 * Replaces the rule of a solver where there are weights. What the solver keeps and its estimate are made as well, so
 * that its rule may hold again at any later step. History is the outputs first, the latest before older ones, then
 * the solver's own.
 */
export function planned(solver: Sampler, { update, forecast, kept }: PlannedSteps): Sampler {
  const steps = solver.linear.map((own, index) => {
    const before = kept[index - 1] ?? 0;
    const earlier = Array.from({ length: before }, (_, i) => keptAt(i));
    const foreseen = forecast[index];
    const outputs = foreseen ? earlier : [PREDICTION, ...earlier];
    const weights = update[index];
    const ofOwn = behind(before, foreseen ? weighted(foreseen, earlier) : PREDICTION);
    return {
      latent: weights ? weighted(weights, outputs) : ofOwn(own.latent),
      history: [...outputs.slice(0, kept[index]), ...own.history.map(ofOwn)],
      estimate: ofOwn(own.estimate),
    };
  });
  return { ...linearSampler(solver, steps), calls: forecast.map((weights) => weights === null) };
}

function weighted(
  [latent = 0, ...factors]: readonly number[],
  outputs: readonly Weights[],
): Weights {
  const terms = factors.map((factor, k) => [factor, outputs[k]!] as const); // a plan weighs no more than there are
  return combine([latent, LATENT], ...terms);
}

/**
 * A solver's weights where some outputs come before its history, and this stands for the prediction; the same weights
 * stay the same.
 */
function behind(outputs: number, output: Weights): (weights: Weights) => Weights {
  const moved = new Map<Weights, Weights>();
  const none = Array.from({ length: outputs }, () => 0);
  return (weights) => {
    const [prediction = 0, latent = 0, ...history] = weights;
    const found = moved.get(weights) ??
      combine([prediction, output], [1, [0, latent, ...none, ...history]]);
    moved.set(weights, found);
    return found;
  };
}
