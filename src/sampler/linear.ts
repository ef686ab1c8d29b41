/**
 * Runs a solver that is given as weighted sums.
 */

import type { Tensor } from "../tensor/tensor.ts";
import type { LinearStep, Weights } from "./linear_step.ts";
import type { Sampler } from "./sampler.ts";

/** A sampler that sums; one step for each call. */
export function linearSampler(
  { times, points }: Pick<Sampler, "times" | "points">,
  linear: readonly LinearStep[],
): Sampler {
  return {
    times,
    points,
    linear,
    weights: linear.map(({ latent }) => Math.abs(latent[0] ?? 0)),
    advance: ({ index, latent, history }, prediction) => {
      const sources = [prediction, latent, ...history];
      const step = linear[index]!; // index is a step
      const made = new Map<Weights, Tensor>(); // an estimate is often what is kept
      const make = (weights: Weights): Tensor => {
        const known = made.get(weights) ?? weightedSum(weights, sources);
        made.set(weights, known);
        return known;
      };
      const state = {
        index: index + 1,
        latent: make(step.latent),
        history: step.history.map(make),
      };
      return { state, estimate: make(step.estimate) };
    },
  };
}

/**
 * A weighted sum of tensors of one shape: in float64, rounded once, so that every runtime makes the same bits. One
 * that is a source itself is that source, not a copy.
 */
export function weightedSum(weights: Weights, sources: readonly Tensor[]): Tensor {
  const terms = [...weights.entries()].flatMap(([i, weight]) =>
    weight === 0 ? [] : [{ weight, source: sources[i]! }] // a step weighs what it has
  );
  const [first] = terms;
  if (first?.weight === 1 && terms.length === 1) return first.source;
  const { dims, data } = sources[0]!; // the prediction at least
  const sum = new Float64Array(data.length);
  for (const { weight, source } of terms) {
    for (let i = 0; i < sum.length; i++) sum[i]! += weight * source.data[i]!; // of one shape
  }
  return { dims, data: Float32Array.from(sum) };
}
