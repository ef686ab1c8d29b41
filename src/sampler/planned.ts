/**
 * A sampler whose steps follow weights from a plan: the next latent is a weighted sum of this one and of the
 * latest outputs of the model.
 */

import type { Tensor } from "../tensor/tensor.ts";
import type { Advance, Sampler, SamplerState } from "./sampler.ts";

/** What a plan says of a sampler's steps. */
export interface PlannedSteps {
  /** By step: `[a, c₀ … c_m]` for a·x + Σ c_k · (output k steps ago); `null` is the solver's rule. */
  readonly update: readonly (readonly number[] | null)[];
  /** By step: how many of the latest outputs later steps weigh. */
  readonly kept: readonly number[];
}

/**
 * Replaces the rule of a solver where there are weights. The solver advances as well, for what it keeps and for
 * its estimate, so that its rule may hold again at any later step. History is the outputs first, the latest
 * before older ones, then the solver's own.
 */
export function planned(solver: Sampler, { update, kept }: PlannedSteps): Sampler {
  return {
    times: solver.times,
    weights: solver.weights.map((weight, step) => Math.abs(update[step]?.[1] ?? weight)),
    advance: (state, prediction) => {
      const { index, latent } = state;
      const before = kept[index - 1] ?? 0;
      const outputs = [prediction, ...state.history.slice(0, before)];
      const own = solver.advance({ ...state, history: state.history.slice(before) }, prediction);
      const weights = update[index];
      const next = weights ? weightedSum(weights, [latent, ...outputs]) : own.state.latent;
      return withLatent(own, next, outputs.slice(0, kept[index]));
    },
  };
}

function withLatent(
  { state, estimate }: Advance,
  latent: Tensor,
  outputs: SamplerState["history"],
): Advance {
  return { state: { ...state, latent, history: [...outputs, ...state.history] }, estimate };
}

/** Sums in float64 are rounded once, so that every runtime makes the same latents. */
function weightedSum(weights: readonly number[], terms: readonly Tensor[]): Tensor {
  const { dims, data } = terms[0]!; // there is the latent
  const sums = new Float64Array(data.length);
  for (const [k, weight] of weights.entries()) {
    const term = terms[k]!.data; // a plan weighs no more than there are
    for (let i = 0; i < sums.length; i++) sums[i]! += weight * term[i]!;
  }
  return { dims, data: Float32Array.from(sums) };
}
