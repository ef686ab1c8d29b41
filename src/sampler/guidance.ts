/**
 * Classifier-free guidance over a batch that holds the conditional half first, then the null half.
 *
 * *Source:* Ho & Salimans, arXiv 2207.12598; DiT `forward_with_cfg`.
 */

import { elementCount, type Tensor } from "../tensor/tensor.ts";

/** Where the channels of a batch lie. */
export interface Channels {
  /** Their axis: 1 of `(N, C, H, W)`, 2 of `(N, T, C)`. */
  readonly axis: number;
  /** How many a latent has; a prediction may have more. */
  readonly count: number;
}

export interface Guidance {
  /** 1 is the conditional prediction itself; more follows the label more closely. One for all rows, or one each. */
  readonly scale: number | readonly number[];
  /** Channels that are guided, from the first; the original guides three whatever the latent has. */
  readonly channels: number;
}

/**
 * Guided noise of n rows from predictions of 2n: channels that a latent does not have (learned variance)
 * are dropped, channels that are not guided are the conditional ones.
 */
export function guide(prediction: Tensor, channels: Channels, guidance: Guidance): Tensor {
  const { dims: [rows = 0, ...rest], data } = firstChannels(prediction, channels);
  const [row, plane] = [elementCount(rest), elementCount(rest.slice(channels.axis))];
  const guided = plane * guidance.channels;
  const nulls = data.subarray(data.length / 2);
  const epsilon = data.slice(0, nulls.length);
  for (let first = 0; first < epsilon.length; first += plane * channels.count) {
    const { scale } = guidance;
    const own = typeof scale === "number" ? scale : scale[Math.floor(first / row)]!; // one for each picture
    for (let i = first; i < first + Math.min(guided, plane * channels.count); i++) {
      const u = nulls[i]!;
      epsilon[i] = u + Math.fround(own * Math.fround(epsilon[i]! - u));
    }
  }
  return { dims: [rows / 2, ...rest], data: epsilon };
}

/** The first channels of predictions, as many as a latent has. */
export function firstChannels(prediction: Tensor, { axis, count }: Channels): Tensor {
  const { dims, data } = prediction;
  if (dims[axis] === count) return prediction;
  const kept = dims.with(axis, count);
  const [all = 0, first = 1] = [dims, kept].map((sizes) => elementCount(sizes.slice(axis)));
  const numbers = new Float32Array(elementCount(kept));
  const blocks = numbers.length / first;
  for (let i = 0; i < blocks; i++) numbers.set(data.subarray(i * all, i * all + first), i * first);
  return { dims: kept, data: numbers };
}
