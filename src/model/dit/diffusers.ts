/**
 * DiT as diffusers publishes it: its configuration in our terms, and where each tensor of the original
 * lies among diffusers' names.
 *
 * Every block has its own copy of the embedders of time and label; the pipeline uses them as one.
 *
 * *Source:* diffusers `DiTTransformer2DModel`, `BasicTransformerBlock` with `ada_norm_zero`.
 */

import { z } from "npm:zod@4.6.7";
import { checkJson, textAt, withoutNotes } from "../../assets/json.ts";
import type { Weights } from "../../assets/weights.ts";
import { AssetError } from "../../errors.ts";
import { elementCount } from "../../tensor/tensor.ts";
import type { DitConfig } from "./config.ts";
import { viewWeights } from "../tensor_views.ts";

/** Diffusers' names of the class; the second is that of older files. */
export const CLASS_NAMES = ["DiTTransformer2DModel", "Transformer2DModel"] as const;

const off = z.literal(false).default(false);
const none = z.null().default(null);
const unread = z.unknown().optional();
const positive = z.int().min(1).max(1 << 20);
const schema = z.strictObject({
  _class_name: z.enum(CLASS_NAMES),
  num_attention_heads: positive.default(16),
  attention_head_dim: positive.default(72),
  in_channels: positive.default(4),
  out_channels: positive.nullable().default(null),
  num_layers: positive.default(28),
  attention_bias: z.literal(true).default(true),
  sample_size: positive.default(32),
  patch_size: positive.default(2),
  activation_fn: z.literal("gelu-approximate").default("gelu-approximate"),
  num_embeds_ada_norm: positive.default(1000),
  norm_type: z.literal("ada_norm_zero").default("ada_norm_zero"),
  norm_elementwise_affine: off,
  // Its port norms the MLP with 1e-5, where training had 1e-6: a relative change of at most 5e-6.
  norm_eps: z.union([z.literal(1e-5), z.literal(1e-6)]).default(1e-5),
  upcast_attention: off,
  cross_attention_dim: none,
  num_vector_embeds: none,
  double_self_attention: off,
  only_cross_attention: off,
  use_linear_projection: off,
  caption_channels: none,
  interpolation_scale: none,
  attention_type: z.literal("default").default("default"),
  timestep_frequency_divisor: unread, // ours, checked with the original's keys
  dropout: unread, // of training
  norm_num_groups: unread, // read by other kinds of input
  use_additional_conditions: unread, // read by another kind of norm
});

/** Whether a config is that of diffusers' DiT. */
export function isDiffusersDit(config: unknown): boolean {
  const name = textAt(config, "_class_name");
  return CLASS_NAMES.some((known) => known === name);
}

/**
 * Reads diffusers' `config.json` as one in the original's keys; absent keys have diffusers' defaults.
 *
 * @throws {AssetError} Naming the first key that is unknown or asks for what we do not compute.
 */
export function fromDiffusersDit(json: unknown): Readonly<Record<string, unknown>> {
  const c = checkJson(withoutNotes(json), schema, "DiT config of diffusers");
  const out = c.out_channels ?? c.in_channels;
  if (out !== c.in_channels && out !== 2 * c.in_channels) {
    throw new AssetError(
      `Cannot read DiT config of diffusers: out_channels must be ${c.in_channels} or ` +
        `${2 * c.in_channels}: current value is ${out}`,
    );
  }
  return {
    input_size: c.sample_size,
    patch_size: c.patch_size,
    in_channels: c.in_channels,
    hidden_size: c.num_attention_heads * c.attention_head_dim,
    depth: c.num_layers,
    num_heads: c.num_attention_heads,
    num_classes: c.num_embeds_ada_norm,
    learn_sigma: out !== c.in_channels,
    ...(c.timestep_frequency_divisor !== undefined && {
      timestep_frequency_divisor: c.timestep_frequency_divisor,
    }),
  };
}

/**
 * Diffusers' weights under the original's names.
 *
 * @throws {AssetError} When a tensor is missing, or blocks embed time or label differently.
 */
export async function underOriginalNames(weights: Weights, config: DitConfig): Promise<Weights> {
  await expectSameEmbedders(weights, config);
  const names = joinsOf(config);
  if (weights.names.has("pos_embed.pos_embed")) names.set("pos_embed", ["pos_embed.pos_embed"]);
  const used = new Set([...[...names.values()].flat(), ...embedderCopies(config).flat()]);
  for (const name of used) {
    if (weights.names.has(name)) continue;
    throw new AssetError(`Cannot use weights: tensor ${name} is missing.`);
  }
  for (const name of weights.names) if (!used.has(name)) names.set(name, [name]); // reported by name
  return viewWeights(
    weights,
    new Map([...names].map(([name, parts]) => [name, parts.map((source) => ({ source }))])),
  );
}

const EMBEDDER_TENSORS = [
  "timestep_embedder.linear_1.weight",
  "timestep_embedder.linear_1.bias",
  "timestep_embedder.linear_2.weight",
  "timestep_embedder.linear_2.bias",
  "class_embedder.embedding_table.weight",
] as const;

/** The copies of each tensor of the embedders: one of every block. */
export function embedderCopies(
  { depth }: Pick<DitConfig, "depth">,
): readonly (readonly string[])[] {
  return EMBEDDER_TENSORS.map((tensor) =>
    Array.from({ length: depth }, (_, block) => embedderOf(block) + tensor)
  );
}

function embedderOf(block: number): string {
  return `transformer_blocks.${block}.norm1.emb.`;
}

/** Each of the original's tensors, and those of diffusers that make it up, one below the other. */
export function joinsOf({ depth }: Pick<DitConfig, "depth">): Map<string, readonly string[]> {
  const joins = new Map<string, readonly string[]>();
  const dense = (to: string, ...from: readonly string[]): void => {
    for (const kind of ["weight", "bias"]) {
      joins.set(`${to}.${kind}`, from.map((name) => `${name}.${kind}`));
    }
  };
  const first = embedderOf(0); // the pipeline's last layer uses these too
  dense("x_embedder.proj", "pos_embed.proj");
  dense("t_embedder.mlp.0", `${first}timestep_embedder.linear_1`);
  dense("t_embedder.mlp.2", `${first}timestep_embedder.linear_2`);
  joins.set("y_embedder.embedding_table.weight", [`${first}class_embedder.embedding_table.weight`]);
  for (let block = 0; block < depth; block++) {
    const [to, from] = [`blocks.${block}`, `transformer_blocks.${block}`];
    dense(`${to}.adaLN_modulation.1`, `${from}.norm1.linear`);
    dense(`${to}.attn.qkv`, ...["to_q", "to_k", "to_v"].map((name) => `${from}.attn1.${name}`));
    dense(`${to}.attn.proj`, `${from}.attn1.to_out.0`);
    dense(`${to}.mlp.fc1`, `${from}.ff.net.0.proj`);
    dense(`${to}.mlp.fc2`, `${from}.ff.net.2`);
  }
  dense("final_layer.adaLN_modulation.1", "proj_out_1");
  dense("final_layer.linear", "proj_out_2");
  return joins;
}

/** Numbers of each copy that are compared: reading all would double the time to open. */
const COMPARED = 16;

async function expectSameEmbedders(weights: Weights, config: DitConfig): Promise<void> {
  for (const [first, ...others] of embedderCopies(config)) {
    const dims = weights.dims(first!); // a DiT has a block
    if (dims === undefined) continue; // a missing tensor is reported elsewhere
    const size = elementCount(dims);
    const places = Array.from({ length: COMPARED }, (_, i) => Math.floor((i * size) / COMPARED));
    const wanted = await weights.sample(first!, places);
    for (const other of others) {
      if (`${weights.dims(other)}` !== `${dims}`) continue;
      const found = await weights.sample(other, places);
      if (found.every((value, i) => Object.is(value, wanted[i]))) continue;
      throw new AssetError(
        `Cannot use weights: ${other} must equal ${first}: blocks that embed time or label in their ` +
          `own ways are not supported`,
      );
    }
  }
}
