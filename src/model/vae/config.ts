/**
 * `config.json` of diffusers' `AutoencoderKL`.
 *
 * @module
 */

import { z } from "npm:zod@4.6.7";
import { checkJson, withoutNotes } from "../../assets/json.ts";
import { AssetError } from "../../errors.ts";

/** What an autoencoder is made of. */
export interface VaeConfig {
  /** Channels of each level, that of the picture's own size first. */
  readonly blockChannels: readonly number[];
  /** Residual layers of a level but one. */
  readonly layersPerBlock: number;
  /** Channels of a latent. */
  readonly latentChannels: number;
  /** Groups of every norm. */
  readonly groups: number;
  /** A diffusion model's latent is `(latent − shiftFactor)·scalingFactor`. */
  readonly scalingFactor: number;
  /** See {@link VaeConfig.scalingFactor}; 0 where there is none. */
  readonly shiftFactor: number;
  /** Whether a 1 × 1 convolution is in front of the decoder. */
  readonly postQuantConv: boolean;
  /** Whether the middle attends over all pixels. */
  readonly attention: boolean;
}

const channels = z.int().min(1).max(1 << 14);
const schema = z.strictObject({
  _class_name: z.literal("AutoencoderKL").default("AutoencoderKL"),
  in_channels: z.literal(3).default(3),
  out_channels: z.literal(3).default(3),
  down_block_types: z.array(z.literal("DownEncoderBlock2D")).default(["DownEncoderBlock2D"]),
  up_block_types: z.array(z.literal("UpDecoderBlock2D")).default(["UpDecoderBlock2D"]),
  block_out_channels: z.array(channels).min(1).max(8).default([64]),
  layers_per_block: z.int().min(1).max(16).default(1),
  act_fn: z.literal(["silu", "swish"]).default("silu"), // two names of one function
  latent_channels: channels.default(4),
  norm_num_groups: channels.default(32),
  scaling_factor: z.number().positive().default(0.18215),
  shift_factor: z.number().nullable().default(null),
  latents_mean: z.null().default(null),
  latents_std: z.null().default(null),
  use_post_quant_conv: z.boolean().default(true),
  mid_block_add_attention: z.boolean().default(true),
  // What follows changes no decoded number: of the encoder, what it was trained on, and half precision.
  use_quant_conv: z.unknown().optional(),
  sample_size: z.unknown().optional(),
  force_upcast: z.unknown().optional(),
});

/**
 * Checks a configuration key by key; absent keys have diffusers' defaults.
 *
 * @throws {AssetError} Naming a key that we do not know, or whose value asks for what we do not compute.
 */
export function parseVaeConfig(json: unknown): VaeConfig {
  const c = checkJson(withoutNotes(json), schema, "config.json of the VAE");
  checkCounts(c.block_out_channels, {
    down_block_types: c.down_block_types.length,
    up_block_types: c.up_block_types.length,
  });
  checkGroups(c.block_out_channels, c.norm_num_groups);
  return {
    blockChannels: c.block_out_channels,
    layersPerBlock: c.layers_per_block,
    latentChannels: c.latent_channels,
    groups: c.norm_num_groups,
    scalingFactor: c.scaling_factor,
    shiftFactor: c.shift_factor ?? 0,
    postQuantConv: c.use_post_quant_conv,
    attention: c.mid_block_add_attention,
  };
}

function checkCounts(
  blocks: readonly number[],
  counts: Readonly<Record<string, number>>,
): void {
  for (const [key, count] of Object.entries(counts)) {
    if (count === blocks.length) continue;
    throw new AssetError(
      `Cannot read config.json of the VAE: ${key} must have ${blocks.length} parts, as ` +
        `block_out_channels has: current value is ${count}`,
    );
  }
}

function checkGroups(blocks: readonly number[], groups: number): void {
  const odd = blocks.find((size) => size % groups !== 0);
  if (odd === undefined) return;
  throw new AssetError(
    `Cannot read config.json of the VAE: block_out_channels must be multiples of ` +
      `norm_num_groups ${groups}: current value is ${odd}`,
  );
}
