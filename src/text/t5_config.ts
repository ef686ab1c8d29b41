/**
 * `config.json` of T5's encoder.
 */

import { z } from "npm:zod@4.6.7";
import { checkJson } from "../assets/json.ts";
import { AssetError } from "../errors.ts";

/** What transformers' `T5Config` says, as far as it changes what the encoder computes. */
export interface T5Config {
  readonly vocabularySize: number;
  readonly width: number;
  /** Width between the layers of an MLP. */
  readonly hidden: number;
  readonly layers: number;
  readonly heads: number;
  /** Width of a head; all heads together may be wider or narrower than the model. */
  readonly headDim: number;
  /** Kind of the MLP: one layer raised by ReLU, or two of which tanh-GELU gates the other. */
  readonly feedForward: "relu" | "gated-gelu";
  /** Buckets of relative positions, half of them for each direction. */
  readonly buckets: number;
  /** From this distance on, all positions are in the last bucket. */
  readonly maxDistance: number;
  /** Of every norm. */
  readonly epsilon: number;
}

const size = z.int().min(1).max(1 << 20);
/** Keys that change nothing in an encoder's forward pass are not looked at: transformers adds some in each version. */
const schema = z.looseObject({
  vocab_size: size.default(32128),
  d_model: size.default(512),
  d_kv: size.default(64),
  d_ff: size.default(2048),
  num_layers: z.int().min(1).max(1000).default(6),
  num_heads: size.default(8),
  feed_forward_proj: z.literal(["relu", "gated-gelu"]).default("relu"),
  relative_attention_num_buckets: z.int().min(4).max(1 << 16).default(32),
  relative_attention_max_distance: size.default(128),
  layer_norm_epsilon: z.number().positive().max(1).default(1e-6),
});

/**
 * Reads a configuration; absent keys have transformers' defaults.
 *
 * @throws {AssetError} Naming the key at fault, such as an activation that we do not compute.
 */
export function parseT5Config(json: unknown, className: string): T5Config {
  const c = checkJson(json, schema, `config.json of ${className}`);
  const [buckets, distance] = [c.relative_attention_num_buckets, c.relative_attention_max_distance];
  if (buckets % 4 !== 0 || distance <= buckets / 4) {
    throw new AssetError(
      `Cannot read config.json of ${className}: relative_attention_num_buckets must be a multiple of 4 ` +
        `and at most 4 × relative_attention_max_distance (${distance}): current value is ${buckets}`,
    );
  }
  return {
    vocabularySize: c.vocab_size,
    width: c.d_model,
    hidden: c.d_ff,
    layers: c.num_layers,
    heads: c.num_heads,
    headDim: c.d_kv,
    feedForward: c.feed_forward_proj,
    buckets,
    maxDistance: distance,
    epsilon: c.layer_norm_epsilon,
  };
}
