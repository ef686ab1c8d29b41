/**
 * `config.json` of CLIP's text encoders.
 */

import { z } from "npm:zod@4.6.7";
import { checkJson } from "../assets/json.ts";
import { AssetError } from "../errors.ts";

/** The class whose pooled output is projected. */
export const PROJECTED = "CLIPTextModelWithProjection";

/** What transformers' `CLIPTextConfig` says, as far as it changes what is computed. */
export interface ClipConfig {
  readonly className: string;
  readonly vocabularySize: number;
  readonly width: number;
  /** Width between the layers of an MLP. */
  readonly hidden: number;
  /** Width of the pooled output where it is projected. */
  readonly projected: number;
  readonly layers: number;
  readonly heads: number;
  /** Most tokens. */
  readonly positions: number;
  readonly activation: "quick_gelu" | "gelu";
  /** Of every norm. */
  readonly epsilon: number;
  /** The token whose hidden state is the pooled output; 2 stands for the highest id. */
  readonly endToken: number;
}

const size = z.int().min(1).max(1 << 20);
/** Keys that change nothing in an encoder's forward pass are not looked at: transformers adds some in each version. */
const schema = z.looseObject({
  vocab_size: size.default(49408),
  hidden_size: size.default(512),
  intermediate_size: size.default(2048),
  projection_dim: size.default(512),
  num_hidden_layers: z.int().min(1).max(1000).default(12),
  num_attention_heads: size.default(8),
  max_position_embeddings: size.default(77),
  hidden_act: z.literal(["quick_gelu", "gelu"]).default("quick_gelu"),
  layer_norm_eps: z.number().positive().max(1).default(1e-5),
  eos_token_id: z.int().min(0).default(49407),
});

/**
 * Reads a configuration; absent keys have transformers' defaults.
 *
 * @throws {AssetError} Naming the key at fault, such as an activation that we do not compute.
 */
export function parseClipConfig(json: unknown, className: string): ClipConfig {
  const c = checkJson(json, schema, `config.json of ${className}`);
  const { hidden_size: width, num_attention_heads: heads } = c;
  if (width % heads !== 0) {
    throw new AssetError(
      `Cannot read config.json of ${className}: hidden_size must be a multiple of num_attention_heads ` +
        `(${heads}): current value is ${width}`,
    );
  }
  return {
    className,
    vocabularySize: c.vocab_size,
    width,
    hidden: c.intermediate_size,
    projected: c.projection_dim,
    layers: c.num_hidden_layers,
    heads,
    positions: c.max_position_embeddings,
    activation: c.hidden_act,
    epsilon: c.layer_norm_eps,
    endToken: c.eos_token_id,
  };
}
