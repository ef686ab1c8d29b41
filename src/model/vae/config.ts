/**
 * `config.json` of diffusers' `AutoencoderKL`.
 */

import { z } from "npm:zod@4.6.7";
import { checkJson, withoutNotes } from "../../assets/json.ts";
import { AssetError } from "../../errors.ts";

export interface VaeConfig {
  /** Channels of each level, that of the picture's own size first. */
  readonly blockChannels: readonly number[];
  /** Residual layers of a level of the encoder; the decoder has one more. */
  readonly layersPerBlock: number;
  readonly latentChannels: number;
  readonly groups: number;
  /** A diffusion model's latent is `(latent − shiftFactor)·scalingFactor`. */
  readonly scalingFactor: number;
  /** See {@link VaeConfig.scalingFactor}; 0 where there is none. */
  readonly shiftFactor: number;
  /** Side of the pictures that it was made for; absent where it is not said. */
  readonly sampleSize?: number | undefined;
  /** Whether a 1 × 1 convolution follows the encoder. */
  readonly quantConv: boolean;
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
  use_quant_conv: z.boolean().default(true),
  use_post_quant_conv: z.boolean().default(true),
  mid_block_add_attention: z.boolean().default(true),
  sample_size: z.int().min(1).max(1 << 16).optional().catch(undefined),
  // Half precision changes numbers that we do not compute in it.
  force_upcast: z.unknown().optional(),
});

/**
 * Checks a configuration key by key; absent keys have diffusers' defaults.
 *
 * @throws {AssetError} Naming a key that we do not know, or whose value asks for what we do not compute.
 */
export function parseVaeConfig(json: unknown): VaeConfig {
  const c = checkJson(withoutNotes(json), schema, "config.json of the VAE");
  const { block_out_channels: blockChannels, norm_num_groups: groups } = c;
  for (const key of ["down_block_types", "up_block_types"] as const) {
    const [count, wanted] = [c[key].length, blockChannels.length];
    if (count !== wanted) {
      refuseConfig(`${key} must have ${wanted} parts, as block_out_channels has`, count);
    }
  }
  const odd = blockChannels.find((size) => size % groups !== 0);
  if (odd !== undefined) {
    refuseConfig(`block_out_channels must be multiples of norm_num_groups ${groups}`, odd);
  }
  return {
    blockChannels,
    layersPerBlock: c.layers_per_block,
    latentChannels: c.latent_channels,
    groups,
    scalingFactor: c.scaling_factor,
    shiftFactor: c.shift_factor ?? 0,
    sampleSize: c.sample_size,
    quantConv: c.use_quant_conv,
    postQuantConv: c.use_post_quant_conv,
    attention: c.mid_block_add_attention,
  };
}

/** @throws {AssetError} Saying what a configuration must be. */
export function refuseConfig(wanted: string, value: unknown): never {
  throw new AssetError(`Cannot read config.json of the VAE: ${wanted}: current value is ${value}`);
}
