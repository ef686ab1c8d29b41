/**
 * How noisy each of the 1000 times of training is, and which time a given noise belongs to.
 *
 * *Source:* diffusers' schedulers, whose float32 numbers these are.
 */

import type { NoiseSpacing } from "./config.ts";
import { TRAIN_STEPS } from "./noise_schedule.ts";

const { fround, sqrt } = Math;

/** ᾱ of every trained time, from betas in float32. */
export function trainedShares({ first, last, curve }: NoiseSpacing["betas"]): readonly number[] {
  const bend = curve === "linear" ? (value: number) => value : Math.sqrt;
  const [low, high] = [bend(first), bend(last)];
  let product = 1;
  return Array.from({ length: TRAIN_STEPS }, (_, time) => {
    const value = fround(low + (high - low) * time / (TRAIN_STEPS - 1));
    const beta = curve === "linear" ? value : fround(value * value);
    product *= fround(1 - beta);
    return fround(product);
  });
}

/** Noise ÷ signal of every trained time, rising. */
export function trainedRatios(betas: NoiseSpacing["betas"]): readonly number[] {
  return trainedShares(betas).map((share) => fround(sqrt(fround(fround(1 - share) / share))));
}

/** The ratio at a time between two of training, straight between them. */
export function ratioAt(time: number, ratios: readonly number[]): number {
  const below = Math.min(Math.floor(time), ratios.length - 2);
  const [low, high] = [ratios[below]!, ratios[below + 1]!]; // below the last
  return low + (time - below) * (high - low);
}

/** The time of a ratio, between those of training; its logarithm is straight between them. */
export function timeOf(ratio: number, ratios: readonly number[]): number {
  const log = Math.log(Math.max(ratio, 1e-10));
  const logs = (time: number): number => fround(Math.log(ratios[time]!)); // within, by the bounds below
  const above = ratios.findIndex((_, time) => logs(time) > log);
  const below = Math.min(above < 0 ? ratios.length : Math.max(0, above - 1), ratios.length - 2);
  const share = (logs(below) - log) / (logs(below) - logs(below + 1));
  const clipped = Math.min(1, Math.max(0, share));
  return (1 - clipped) * below + clipped * (below + 1);
}
