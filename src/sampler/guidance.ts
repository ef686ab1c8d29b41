/**
 * Classifier-free guidance over a batch that holds the conditional half first, then the null half.
 *
 * *Source:* Ho & Salimans, arXiv 2207.12598; DiT `forward_with_cfg`.
 *
 * @module
 */

import type { Tensor } from "../tensor/tensor.ts";

/** How to guide. */
export interface Guidance {
  /** 1 is the conditional prediction itself; larger follows the label more. One for all rows, or one for each. */
  readonly scale: number | readonly number[];
  /** Channels that are guided, from the first; the original guides three whatever the latent has. */
  readonly channels: number;
}

/**
 * Guided noise `(n, C, H, W)` from predictions `(2n, C', H, W)` with C' ≥ C: channels beyond C (learned
 * variance) are left out, channels that are not guided are the conditional ones.
 */
export function guide(prediction: Tensor, channels: number, guidance: Guidance): Tensor {
  const [rows = 0, predicted = 0, height = 0, width = 0] = prediction.dims;
  const n = rows / 2;
  const plane = height * width;
  const epsilon = new Float32Array(n * channels * plane);
  for (let row = 0; row < n; row++) {
    const scale = typeof guidance.scale === "number" ? guidance.scale : guidance.scale[row]!; // n of them
    const conditional = prediction.data.subarray(row * predicted * plane);
    const unconditional = prediction.data.subarray((n + row) * predicted * plane);
    for (let i = 0; i < channels * plane; i++) {
      const c = conditional[i]!; // both hold at least `channels` planes
      const u = unconditional[i]!;
      const guided = i < guidance.channels * plane;
      epsilon[row * channels * plane + i] = guided
        ? u + Math.fround(scale * Math.fround(c - u))
        : c;
    }
  }
  return { dims: [n, channels, height, width], data: epsilon };
}

/** The first `channels` channels of predictions `(n, C', …)`. */
export function firstChannels(prediction: Tensor, channels: number): Tensor {
  if (prediction.dims[1] === channels) return prediction;
  const [n = 0, predicted = 0, height = 0, width = 0] = prediction.dims;
  const plane = height * width;
  const data = new Float32Array(n * channels * plane);
  for (let row = 0; row < n; row++) {
    const first = row * predicted * plane;
    data.set(prediction.data.subarray(first, first + channels * plane), row * channels * plane);
  }
  return { dims: [n, channels, height, width], data };
}
