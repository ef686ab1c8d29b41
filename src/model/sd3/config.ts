/**
 * The configuration of a Stable Diffusion 3 transformer, and the tensors that it asks for.
 *
 * @module
 */

import { z } from "zod";
import { checkJson, withoutNotes } from "../../assets/json.ts";
import { AssetError } from "../../errors.ts";
import { TIME_WIDTH } from "../blocks/time_features.ts";

/** The arguments of diffusers' `SD3Transformer2DModel`, as far as they change what is computed. */
export interface Sd3Config {
  /** Latent height and width. */
  readonly sampleSize: number;
  /** Patch height and width, in latent pixels. */
  readonly patchSize: number;
  /** Latent channels. */
  readonly inChannels: number;
  /** Joint blocks. */
  readonly numLayers: number;
  /** Width of a head. */
  readonly headDim: number;
  /** Attention heads. */
  readonly numHeads: number;
  /** Width of the text features. */
  readonly jointDim: number;
  /** Width of the pooled text features. */
  readonly pooledDim: number;
  /** Rows and columns of the stored positions, of which the middle is used. */
  readonly positions: number;
}

/** Diffusers' name of the class. */
export const CLASS_NAME = "SD3Transformer2DModel";

const positive = z.int().min(1).max(1 << 20);
const schema = z.strictObject({
  _class_name: z.literal(CLASS_NAME).optional(),
  sample_size: positive.default(128),
  patch_size: positive.default(2),
  in_channels: positive.default(16),
  out_channels: positive.default(16),
  num_layers: z.int().min(1).max(1000).default(18),
  attention_head_dim: positive.default(64),
  num_attention_heads: positive.default(18),
  joint_attention_dim: positive.default(4096),
  caption_projection_dim: positive.default(1152),
  pooled_projection_dim: positive.default(2048),
  pos_embed_max_size: positive.default(96),
  dual_attention_layers: z.array(z.never()).default([]),
  qk_norm: z.literal("rms_norm"),
});

/**
 * Reads a `config.json` of diffusers; absent keys have its defaults.
 *
 * @throws {AssetError} Naming the first key that is unknown, out of range or does not fit the others.
 */
export function parseSd3Config(json: unknown): Sd3Config {
  const c = checkJson(withoutNotes(json), schema, "SD3 config");
  const width = c.attention_head_dim * c.num_attention_heads;
  const rules = [
    ["caption_projection_dim", width, c.caption_projection_dim],
    ["out_channels", c.in_channels, c.out_channels],
    ["sample_size", Math.ceil(c.sample_size / c.patch_size) * c.patch_size, c.sample_size],
  ] as const;
  for (const [key, wanted, value] of rules) {
    if (value === wanted) continue;
    throw new AssetError(
      `Cannot read SD3 config: ${key} must be ${wanted}: current value is ${value}`,
    );
  }
  return {
    sampleSize: c.sample_size,
    patchSize: c.patch_size,
    inChannels: c.in_channels,
    numLayers: c.num_layers,
    headDim: c.attention_head_dim,
    numHeads: c.num_attention_heads,
    jointDim: c.joint_attention_dim,
    pooledDim: c.pooled_projection_dim,
    positions: c.pos_embed_max_size,
  };
}

/** Every tensor that a state dict of this configuration has, by name. */
export function sd3Tensors(config: Sd3Config): ReadonlyMap<string, readonly number[]> {
  const { patchSize: p, inChannels, positions, headDim, numHeads, numLayers } = config;
  const width = numHeads * headDim;
  const tensors = new Map<string, readonly number[]>([
    ["pos_embed.pos_embed", [1, positions ** 2, width]],
    ["pos_embed.proj.weight", [width, inChannels, p, p]],
    ["pos_embed.proj.bias", [width]],
  ]);
  const dense = (name: string, rows: number, columns: number): void =>
    void tensors.set(`${name}.weight`, [rows, columns]).set(`${name}.bias`, [rows]);
  dense("context_embedder", width, config.jointDim);
  for (const [name, from] of [["timestep", TIME_WIDTH], ["text", config.pooledDim]] as const) {
    dense(`time_text_embed.${name}_embedder.linear_1`, width, from);
    dense(`time_text_embed.${name}_embedder.linear_2`, width, width);
  }
  for (let block = 0; block < numLayers; block++) {
    const prefix = `transformer_blocks.${block}`;
    const isLast = block === numLayers - 1;
    dense(`${prefix}.norm1.linear`, 6 * width, width);
    dense(`${prefix}.norm1_context.linear`, (isLast ? 2 : 6) * width, width);
    const layers = ["to_q", "to_k", "to_v", "add_q_proj", "add_k_proj", "add_v_proj", "to_out.0"];
    for (const name of [...layers, ...(isLast ? [] : ["to_add_out"])]) {
      dense(`${prefix}.attn.${name}`, width, width);
    }
    for (const norm of ["norm_q", "norm_k", "norm_added_q", "norm_added_k"]) {
      tensors.set(`${prefix}.attn.${norm}.weight`, [headDim]);
    }
    for (const ff of ["ff", ...(isLast ? [] : ["ff_context"])]) {
      dense(`${prefix}.${ff}.net.0.proj`, 4 * width, width);
      dense(`${prefix}.${ff}.net.2`, width, 4 * width);
    }
  }
  dense("norm_out.linear", 2 * width, width);
  dense("proj_out", p * p * inChannels, width);
  return tensors;
}
