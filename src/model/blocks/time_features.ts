/**
 * Embeds a time (or another number): sinusoidal features, then two layers.
 */

import type { GraphBuilder, Node } from "../../onnx/graph.ts";
import * as operators from "../../onnx/operators.ts";
import { dense } from "../layers.ts";

/** Width of the features. *Source:* DiT `TimestepEmbedder(frequency_embedding_size=256)`. */
export const TIME_WIDTH = 256;

const MAX_PERIOD = 10000;
const { fround } = Math;

/**
 * Timestep features: cosines, then sines, of `time · 10000^(−k/divisor)`; `TIME_WIDTH` numbers. The
 * divisor is the original's, half of that, unless given.
 *
 * Each operation rounds to float32 in the original's order: arguments reach 999, where a last-bit
 * difference in a frequency shows in the cosine.
 *
 * *Source:* DiT `TimestepEmbedder.timestep_embedding` (divisor `half`);
 * diffusers `get_timestep_embedding(downscale_freq_shift=1)` (divisor `half − 1`).
 */
export function timeFeatures(time: number, divisor: number = TIME_WIDTH / 2): Float32Array {
  const half = TIME_WIDTH / 2;
  const features = new Float32Array(TIME_WIDTH);
  for (let k = 0; k < half; k++) {
    const exponent = fround(fround(fround(-Math.log(MAX_PERIOD)) * k) / divisor);
    const argument = fround(fround(time) * fround(Math.exp(exponent)));
    features[k] = Math.cos(argument);
    features[half + k] = Math.sin(argument);
  }
  return features;
}

/** Features `(R, …)` to vectors `(R, D)`: two Linear layers of these names with SiLU between. */
export function embedder(
  graph: GraphBuilder,
  features: Node,
  [first, second]: readonly [string, string],
  width: number,
): Node {
  return dense(graph, operators.silu(graph, dense(graph, features, first, width)), second, width);
}
