/**
 * The weights of a sampler's step as the device takes them: guidance is part of the prediction's.
 */

import { type SumSizes, termCount, weightCount } from "../../backend/gpu/weighted_sum.ts";
import type { LinearStep } from "../../sampler/linear_step.ts";

/** How predictions of two halves become one. */
export interface GuidedChannels {
  /** By picture: its scale. */
  readonly scales: readonly number[];
  /** Channels that are guided, from the first. */
  readonly channels: number;
}

/** The weights of a step, `(outputs, terms, n, C)`; `guidance` absent = one half. */
export function updateWeights(
  step: LinearStep,
  sizes: SumSizes,
  guidance: GuidedChannels | undefined,
): Float32Array {
  const { pictures, channels, history } = sizes;
  const weights = new Float32Array(weightCount(sizes));
  const outputs = [step.latent, step.estimate, ...step.history.slice(0, history)];
  for (const [output, [prediction = 0, latent = 0, ...kept]] of outputs.entries()) {
    const put = (term: number, value: (picture: number, channel: number) => number): void => {
      const first = (output * termCount(sizes) + term) * pictures * channels;
      for (let i = 0; i < pictures * channels; i++) {
        weights[first + i] = value(Math.floor(i / channels), i % channels);
      }
    };
    const scaleOf = (picture: number, channel: number): number =>
      guidance !== undefined && channel < guidance.channels ? guidance.scales[picture]! : 1;
    put(0, () => latent);
    put(1, (picture, channel) => prediction * scaleOf(picture, channel));
    put(2, (picture, channel) => prediction * (1 - scaleOf(picture, channel)));
    kept.forEach((weight, i) => put(3 + i, () => weight));
  }
  return weights;
}

/** The most latents that steps keep. */
export function historyLength(steps: readonly LinearStep[]): number {
  return Math.max(0, ...steps.map(({ history }) => history.length));
}
