/**
 * Classifier-free guidance over a batch that holds the conditional half first, then the null half.
 *
 * *Source:* Ho & Salimans, arXiv 2207.12598; DiT `forward_with_cfg`.
 *
 * @module
 */

import { elementCount, type Tensor } from "../tensor/tensor.ts";

/** How to guide. */
export interface Guidance {
  /** 1 is the conditional prediction itself; larger follows the label more. One for all rows, or one for each. */
  readonly scale: number | readonly number[];
  /** Channels that are guided, from the first; the original guides three whatever the latent has. */
  readonly channels: number;
}

/**
 * Guided noise `(n, C, …)` from predictions `(2n, C', …)` with C' ≥ C: channels beyond C (learned
 * variance) are left out, channels that are not guided are the conditional ones.
 */
export function guide(prediction: Tensor, channels: number, guidance: Guidance): Tensor {
  const { dims: [rows = 0, , ...rest], data } = firstChannels(prediction, channels);
  const row = data.length / rows;
  const guided = row / channels * guidance.channels;
  const nulls = data.subarray(data.length / 2);
  const epsilon = data.slice(0, nulls.length).map((c, i) => {
    if (i % row >= guided) return c;
    const { scale } = guidance;
    const own = typeof scale === "number" ? scale : scale[Math.floor(i / row)]!; // one for each picture
    const u = nulls[i]!; // as many
    return u + Math.fround(own * Math.fround(c - u));
  });
  return { dims: [rows / 2, channels, ...rest], data: epsilon };
}

/** The first `channels` channels of predictions `(n, C', …)`. */
export function firstChannels(prediction: Tensor, channels: number): Tensor {
  const { dims: [n = 0, predicted = 0, ...rest], data } = prediction;
  if (predicted === channels) return prediction;
  const plane = elementCount(rest);
  const rows = Array.from({ length: n }, (_, i) => i * predicted * plane);
  const kept = new Float32Array(n * channels * plane);
  rows.forEach((at, i) => kept.set(data.subarray(at, at + channels * plane), i * channels * plane));
  return { dims: [n, channels, ...rest], data: kept };
}
