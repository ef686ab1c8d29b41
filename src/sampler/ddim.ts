/**
 * DDIM with η = 0 and no clipping.
 *
 * *Source:* Song et al., arXiv 2010.02502; DiT `gaussian_diffusion.py`, `ddim_sample_loop`.
 *
 * @module
 */

import type { Tensor } from "../tensor/tensor.ts";
import type { NoiseSchedule } from "./noise_schedule.ts";

/** Position in the loop and the time given to the model there. */
export interface StepPosition {
  /** 0 is the noisiest step. */
  readonly index: number;
  /** Timestep value. */
  readonly time: number;
}

/** The latent after one step. */
export interface SamplerStep extends StepPosition {
  /** `(n, C, H, W)`; not written to again. */
  readonly latent: Tensor;
  /** The finished latent as this step foresees it (DiT's `pred_xstart`), same shape. */
  readonly estimate: Tensor;
}

/** Predicts the noise in a latent `(n, C, H, W)`; same shape. */
export type Denoise = (latent: Tensor, position: StepPosition) => Promise<Tensor>;

/**
 * Runs the loop, yielding after each step.
 *
 * Arithmetic is float32 in the original's order, so that every runtime makes the same latents.
 */
export async function* ddim(
  schedule: NoiseSchedule,
  noise: Tensor,
  denoise: Denoise,
): AsyncGenerator<SamplerStep, void, undefined> {
  let latent = noise;
  for (const [index, time] of schedule.times.entries()) {
    const epsilon = await denoise(latent, { index, time });
    const { dims } = latent;
    const { next, start } = ddimStep(latent.data, epsilon.data, schedule, index);
    latent = { dims, data: next };
    yield { index, time, latent, estimate: { dims, data: start } };
  }
}

const { fround, sqrt } = Math;

function ddimStep(
  x: Float32Array,
  epsilon: Float32Array,
  schedule: NoiseSchedule,
  index: number,
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
 * σ = √(1/ᾱ − 1) and ′ for behind the step. 0.22 … 0.01 for 50 steps.
 */
export function predictionWeights({ alphaBars, alphaBarsNext }: NoiseSchedule): readonly number[] {
  const sigma = (alphaBar: number): number => Math.sqrt(1 / alphaBar - 1);
  return alphaBars.map((alphaBar, step) => {
    const next = alphaBarsNext[step]!; // as long as alphaBars
    return Math.sqrt(next) * Math.abs(sigma(alphaBar) - sigma(next));
  });
}
