/**
 * How sure a number is that was computed from n pictures: the pictures are drawn again, with
 * replacement, and the number computed anew.
 *
 * *Source:* Efron & Tibshirani, An Introduction to the Bootstrap (1993), §13.
 */
import { philox } from "../../src/tensor/random.ts";

/** 95 % of resamples lie between these. */
export interface Interval {
  /** 2.5 % are below. */
  readonly low: number;
  /** 2.5 % are above. */
  readonly high: number;
}

/** How often each of n pictures is drawn in n draws; resample r of a seed is always the same. */
export function drawCounts(n: number, resample: number, seed: number): Uint16Array {
  const counts = new Uint16Array(n);
  for (let at = 0; at < n; at += 4) {
    const bits = philox([at / 4, resample, 0, 0], [seed, 0]);
    for (const draw of bits.slice(0, n - at)) counts[Math.floor(draw / 2 ** 32 * n)]! += 1; // below n
  }
  return counts;
}

/**
 * Where 95 % of the resamples lie, moved so that their mean is the estimate.
 *
 * A mean's resamples have it as their mean anyway. A Fréchet distance is larger for samples of fewer distinct
 * pictures, so that of a resample is larger than that of its sample: not sampling error, but an offset.
 */
export function intervalOf(estimate: number, resamples: readonly number[]): Interval {
  const sorted = resamples.toSorted((a, b) => a - b);
  const mean = sorted.reduce((sum, value) => sum + value, 0) / sorted.length;
  const at = (share: number): number => {
    const place = share * (sorted.length - 1);
    const below = sorted[Math.floor(place)]!; // a share of the last index
    return below + (place % 1) * (sorted[Math.ceil(place)]! - below) + estimate - mean;
  };
  return { low: at(0.025), high: at(0.975) };
}
