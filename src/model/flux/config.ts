/**
 * The configuration of a FLUX transformer: read from JSON, or inferred from the shapes of its tensors,
 * and in both cases checked against every tensor.
 */

import { z } from "npm:zod@4.6.7";
import { checkJson, withoutNotes } from "../../assets/json.ts";
import { AssetError } from "../../errors.ts";
import type { TensorShapes } from "../../assets/tensor_shapes.ts";

/** The arguments of diffusers' `FluxTransformer2DModel`, as far as they change what is computed. */
export interface FluxConfig {
  /** Numbers of a packed latent token: channels × 2 × 2. */
  readonly inChannels: number;
  /** Dual blocks: image and text have weights of their own. */
  readonly numLayers: number;
  /** Single blocks: one set of weights for both. */
  readonly numSingleLayers: number;
  readonly headDim: number;
  readonly numHeads: number;
  /** Width of the text features. */
  readonly jointDim: number;
  /** Width of the pooled text features. */
  readonly pooledDim: number;
  /** Whether the guidance scale is an input of the model. */
  readonly guidanceEmbeds: boolean;
  /** Numbers of a head that each axis of the positions rotates. */
  readonly axesDims: readonly number[];
}

/** How many tokens of each kind a run has; they change costs, but not graphs. */
export interface FluxSizes {
  /** Image tokens. */
  readonly T: number;
  /** Text tokens. */
  readonly M: number;
}

/** Width of an MLP as a multiple of the streams' width. *Source:* diffusers `transformer_flux.py`. */
export const MLP_RATIO = 4;

/** Width of a FLUX transformer's streams. */
export function fluxWidth({ numHeads, headDim }: FluxConfig): number {
  return numHeads * headDim;
}

/** Diffusers' name of the class. */
export const CLASS_NAME = "FluxTransformer2DModel";
/** The published geometry of FLUX.1. */
const PUBLISHED_HEAD = 128;
const PUBLISHED_AXES = [16, 56, 56];

const positive = z.int().min(1).max(1 << 20);
const blocks = z.int().min(0).max(1000);
const schema = z.strictObject({
  _class_name: z.literal(CLASS_NAME).optional(),
  patch_size: z.literal(1).default(1),
  in_channels: positive.default(64),
  out_channels: positive.nullable().default(null),
  num_layers: blocks.default(19),
  num_single_layers: blocks.default(38),
  attention_head_dim: positive.default(PUBLISHED_HEAD),
  num_attention_heads: positive.default(24),
  joint_attention_dim: positive.default(4096),
  pooled_projection_dim: positive.default(768),
  guidance_embeds: z.boolean().default(false),
  axes_dims_rope: z.array(positive).min(1).max(8).default(PUBLISHED_AXES),
});

/**
 * Reads a `config.json` of diffusers; absent keys have its defaults, keys with `_` in front are not read.
 *
 * @throws {AssetError} Naming the first key that is unknown, out of range or does not fit the others.
 */
export function parseFluxConfig(json: unknown): FluxConfig {
  const c = checkJson(withoutNotes(json), schema, "FLUX config");
  return consistent(c.out_channels ?? c.in_channels, {
    inChannels: c.in_channels,
    numLayers: c.num_layers,
    numSingleLayers: c.num_single_layers,
    headDim: c.attention_head_dim,
    numHeads: c.num_attention_heads,
    jointDim: c.joint_attention_dim,
    pooledDim: c.pooled_projection_dim,
    guidanceEmbeds: c.guidance_embeds,
    axesDims: c.axes_dims_rope,
  });
}

/**
 * Infers the `config.json` of a model with the published head from its tensors, under diffusers' names.
 *
 * @throws {AssetError} When tensors are absent, or the head is not the published one.
 */
export function inferFluxConfig(shapes: TensorShapes): Readonly<Record<string, unknown>> {
  const [width = 0, inChannels] = dimsOf(shapes, "x_embedder.weight");
  const [, jointDim] = dimsOf(shapes, "context_embedder.weight");
  const [, pooledDim] = dimsOf(shapes, "time_text_embed.text_embedder.linear_1.weight");
  const [headDim] = dimsOf(shapes, "single_transformer_blocks.0.attn.norm_q.weight");
  if (headDim !== PUBLISHED_HEAD) {
    throw new AssetError(
      `Cannot infer FLUX config: heads must be ${PUBLISHED_HEAD} wide, or a config.json must lie ` +
        `beside the weights: current value is ${headDim}`,
    );
  }
  return {
    in_channels: inChannels,
    num_layers: blockCount(shapes, "transformer_blocks"),
    num_single_layers: blockCount(shapes, "single_transformer_blocks"),
    num_attention_heads: width / headDim,
    joint_attention_dim: jointDim,
    pooled_projection_dim: pooledDim,
    guidance_embeds: shapes.names.has("time_text_embed.guidance_embedder.linear_1.weight"),
  };
}

function consistent(outChannels: number, config: FluxConfig): FluxConfig {
  const { axesDims, headDim, inChannels } = config;
  const refuse = (what: string, wanted: string, value: unknown): never => {
    throw new AssetError(
      `Cannot read FLUX config: ${what} must be ${wanted}: current value is ${value}`,
    );
  };
  const sum = axesDims.reduce((total, dim) => total + dim, 0);
  if (sum !== headDim) {
    refuse("axes_dims_rope", `${headDim} in sum, the width of a head`, `${axesDims} (${sum})`);
  }
  if (axesDims.some((dim) => dim % 2 !== 0)) refuse("axes_dims_rope", "even", axesDims);
  if (outChannels !== inChannels) {
    refuse("out_channels", `in_channels (${inChannels})`, outChannels);
  }
  if (inChannels % 4 !== 0) refuse("in_channels", "a multiple of 4", inChannels);
  return config;
}

function dimsOf(shapes: TensorShapes, name: string): readonly number[] {
  const dims = shapes.dims(name);
  if (dims !== undefined) return dims;
  throw new AssetError(`Cannot infer FLUX config: tensor ${name} is missing.`);
}

function blockCount({ names }: TensorShapes, prefix: string): number {
  let count = 0;
  while (names.has(`${prefix}.${count}.attn.norm_q.weight`)) count++;
  return count;
}
