/**
 * DPM-Solver++ 2M, the midpoint kind: a second-order multistep method on the estimates of the picture.
 *
 * *Source:* Lu et al., arXiv 2211.01095, algorithm 2; diffusers `DPMSolverMultistepScheduler`. The first and the
 * last step are of first order, as there.
 *
 * @module
 */

import type { NoiseSchedule } from "./noise_schedule.ts";
import type { Sampler } from "./sampler.ts";

const { exp, fround, log, sqrt } = Math;

/** Samples along a schedule; the model predicts noise. The history is the estimate of the step before. */
export function dpmSolver({ times, alphaBars }: NoiseSchedule): Sampler {
  const updates = updatesOf([...alphaBars, 1]);
  return {
    times,
    weights: updates.map(({ alpha, sigma, toEstimate }) => toEstimate * sigma / alpha),
    advance: ({ index, latent: { dims, data }, history: [before] }, { data: epsilon }) => {
      const { alpha, sigma, keep, toEstimate, ahead } = updates[index]!; // index is a step
      const estimate = data.map((x, i) => fround(x - fround(sigma * epsilon[i]!)) / alpha); // as long
      const past = before?.data ?? estimate;
      const next = data.map((x, i) => {
        const now = estimate[i]!; // all of one length
        return keep * x + toEstimate * (now + ahead * (now - past[i]!));
      });
      const kept = { dims, data: estimate };
      const state = { index: index + 1, latent: { dims, data: next }, history: [kept] };
      return { state, estimate: kept };
    },
  };
}

/** What a step multiplies with. */
interface Update {
  /** Shares of signal and noise before the step. */
  readonly alpha: number;
  readonly sigma: number;
  /** Of the latent. */
  readonly keep: number;
  /** Of the estimate. */
  readonly toEstimate: number;
  /** How far the estimate is carried on beyond the one before; 0 is first order. */
  readonly ahead: number;
}

/** By step; the last of the shares is that after the last step. */
function updatesOf(alphaBars: readonly number[]): readonly Update[] {
  const at = alphaBars.map((share) => {
    const [alpha, sigma] = [sqrt(share), sqrt(1 - share)];
    return { alpha, sigma, lambda: log(alpha) - log(sigma) };
  });
  return at.slice(0, -1).map(({ alpha, sigma, lambda }, i) => {
    const [previous, next] = [at[i - 1], at[i + 1]!]; // one more than steps
    const h = next.lambda - lambda;
    const ahead = previous === undefined ? 0 : h / (lambda - previous.lambda) / 2;
    return {
      alpha,
      sigma,
      keep: next.sigma / sigma,
      toEstimate: -next.alpha * (exp(-h) - 1),
      ahead: Number.isFinite(h) ? ahead : 0,
    };
  });
}
