/**
 * DDIM with η = 0 and no clipping.
 *
 * *Source:* Song et al., arXiv 2010.02502; DiT `gaussian_diffusion.py`, `ddim_sample_loop`.
 */

import { linearSampler } from "./linear.ts";
import type { LinearStep } from "./linear_step.ts";
import type { NoiseSchedule } from "./noise_schedule.ts";
import { firstOrder, pointOfShare, type Prediction } from "./path.ts";
import type { Sampler } from "./sampler.ts";

const { fround, sqrt } = Math;

/** Samples along a schedule; a model that predicts noise itself has the float32 arithmetic of its authors. */
export function ddim(schedule: NoiseSchedule, predicts: Prediction = "epsilon"): Sampler {
  const { times, alphaBars, alphaBarsNext } = schedule;
  const points = [...alphaBars, ...alphaBarsNext.slice(-1)].map(pointOfShare);
  const linear = linearSteps(schedule, predicts);
  if (predicts !== "epsilon") return linearSampler({ times, points }, linear);
  return {
    times,
    points,
    linear,
    weights: predictionWeights(schedule),
    advance: ({ index, latent: { dims, data } }, prediction) => {
      const { next, start } = ddimStep(data, prediction.data, { schedule, index });
      const latent = { dims, data: next };
      return { state: { index: index + 1, latent, history: [] }, estimate: { dims, data: start } };
    },
  };
}

function linearSteps(
  { times, alphaBars, alphaBarsNext }: NoiseSchedule,
  predicts: Prediction,
): readonly LinearStep[] {
  return alphaBars.flatMap((share, step) => {
    const points = [share, alphaBarsNext[step]!].map(pointOfShare); // as long as alphaBars
    return firstOrder({ times: [times[step]!], points, predicts });
  });
}

function ddimStep(
  x: Float32Array,
  epsilon: Float32Array,
  { schedule, index }: { readonly schedule: NoiseSchedule; readonly index: number },
): { readonly next: Float32Array; readonly start: Float32Array } {
  const alphaBar = schedule.alphaBars[index]!; // index is a step of the schedule
  const alphaBarNext = fround(schedule.alphaBarsNext[index]!);
  const recip = fround(sqrt(1 / alphaBar));
  const recipMinusOne = fround(sqrt(1 / alphaBar - 1));
  const toStart = fround(sqrt(alphaBarNext));
  const toNoise = fround(sqrt(fround(1 - alphaBarNext)));
  const start = new Float32Array(x.length);
  const next = x.map((value, i) => {
    const scaled = fround(recip * value);
    const foreseen = fround(scaled - fround(recipMinusOne * epsilon[i]!)); // same length as x
    start[i] = foreseen;
    const direction = fround(fround(scaled - foreseen) / recipMinusOne);
    return fround(foreseen * toStart) + fround(toNoise * direction);
  });
  return { next, start };
}

/**
 * By step: how far DDIM moves the latent when the predicted noise changes by one: √ᾱ′ · |σ − σ′| with
 * σ = √(1/ᾱ − 1) and ′ for after the step. 0.22 … 0.01 for 50 steps.
 */
export function predictionWeights({ alphaBars, alphaBarsNext }: NoiseSchedule): readonly number[] {
  const sigma = (alphaBar: number): number => Math.sqrt(1 / alphaBar - 1);
  return alphaBars.map((alphaBar, step) => {
    const next = alphaBarsNext[step]!; // as long as alphaBars
    return Math.sqrt(next) * Math.abs(sigma(alphaBar) - sigma(next));
  });
}
