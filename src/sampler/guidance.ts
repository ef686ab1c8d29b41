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
  const row = elementCount(rest);
  const plane = elementCount(rest.slice(channels.axis));
  const nulls = data.subarray(data.length / 2);
  const epsilon = data.slice(0, nulls.length).map((c, i) => {
    if (Math.floor(i / plane) % channels.count >= guidance.channels) return c;
    const { scale } = guidance;
    const own = typeof scale === "number" ? scale : scale[Math.floor(i / row)]!; // one for each picture
    const u = nulls[i]!;
    return u + Math.fround(own * Math.fround(c - u));
  });
  return { dims: [rows / 2, ...rest], data: epsilon };
}

/** The first channels of predictions, as many as a latent has. */
export function firstChannels(prediction: Tensor, { axis, count }: Channels): Tensor {
  const { dims, data } = prediction;
  if (dims[axis] === count) return prediction;
  const kept = dims.with(axis, count);
  const [all, first] = [dims, kept].map((sizes) => elementCount(sizes.slice(axis)));
  return { dims: kept, data: data.filter((_, i) => i % all! < first!) }; // two were mapped
}
