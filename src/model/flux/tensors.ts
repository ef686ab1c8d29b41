/**
 * The tensors of a FLUX transformer under diffusers' names, and proof that weights are those.
 *
 * @module
 */

import { checkTensors, type TensorShapes } from "../tensor_shapes.ts";
import { type FluxConfig, fluxWidth } from "./config.ts";
import { TIME_WIDTH } from "../blocks/time_features.ts";
import type { TensorPart } from "../tensor_views.ts";

/** Width of an MLP as a multiple of the streams' width. *Source:* diffusers `transformer_flux.py`. */
export const MLP_RATIO = 4;

type Shapes = Map<string, readonly number[]>;

/** Every tensor that a state dict of this configuration has, by name. */
export function fluxTensors(config: FluxConfig): ReadonlyMap<string, readonly number[]> {
  const width = fluxWidth(config);
  const tensors: Shapes = new Map();
  const dense = denseInto(tensors);
  dense("x_embedder", width, config.inChannels);
  dense("context_embedder", width, config.jointDim);
  const embedder = (name: string, from: number): void => {
    dense(`time_text_embed.${name}.linear_1`, width, from);
    dense(`time_text_embed.${name}.linear_2`, width, width);
  };
  embedder("timestep_embedder", TIME_WIDTH);
  if (config.guidanceEmbeds) embedder("guidance_embedder", TIME_WIDTH);
  embedder("text_embedder", config.pooledDim);
  for (let block = 0; block < config.numLayers; block++) addDual(tensors, config, block);
  for (let block = 0; block < config.numSingleLayers; block++) addSingle(tensors, config, block);
  dense("norm_out.linear", 2 * width, width);
  dense("proj_out", config.inChannels, width);
  return tensors;
}

function addDual(tensors: Shapes, config: FluxConfig, block: number): void {
  const width = fluxWidth(config);
  const prefix = `transformer_blocks.${block}`;
  const dense = denseInto(tensors);
  for (const norm of ["norm1", "norm1_context"]) {
    dense(`${prefix}.${norm}.linear`, 6 * width, width);
  }
  for (
    const part of ["to_q", "to_k", "to_v", "add_q_proj", "add_k_proj", "add_v_proj", "to_out.0"]
  ) dense(`${prefix}.attn.${part}`, width, width);
  dense(`${prefix}.attn.to_add_out`, width, width);
  for (const norm of ["norm_q", "norm_k", "norm_added_q", "norm_added_k"]) {
    tensors.set(`${prefix}.attn.${norm}.weight`, [config.headDim]);
  }
  for (const ff of ["ff", "ff_context"]) {
    dense(`${prefix}.${ff}.net.0.proj`, MLP_RATIO * width, width);
    dense(`${prefix}.${ff}.net.2`, width, MLP_RATIO * width);
  }
}

function addSingle(tensors: Shapes, config: FluxConfig, block: number): void {
  const width = fluxWidth(config);
  const prefix = `single_transformer_blocks.${block}`;
  const dense = denseInto(tensors);
  dense(`${prefix}.norm.linear`, 3 * width, width);
  for (const part of ["to_q", "to_k", "to_v"]) dense(`${prefix}.attn.${part}`, width, width);
  for (const norm of ["norm_q", "norm_k"]) {
    tensors.set(`${prefix}.attn.${norm}.weight`, [config.headDim]);
  }
  dense(`${prefix}.proj_mlp`, MLP_RATIO * width, width);
  dense(`${prefix}.proj_out`, width, (1 + MLP_RATIO) * width);
}

function denseInto(tensors: Shapes): (name: string, rows: number, columns: number) => void {
  return (name, rows, columns) =>
    void tensors.set(`${name}.weight`, [rows, columns]).set(`${name}.bias`, [rows]);
}

/** The shares of every `proj_out`: attention's columns and the MLP's, by name. */
export function projectionShares(
  config: FluxConfig,
): ReadonlyMap<string, Required<Omit<TensorPart, "rows">>> {
  const width = fluxWidth(config);
  const shares = new Map<string, Required<Omit<TensorPart, "rows">>>();
  for (let block = 0; block < config.numSingleLayers; block++) {
    const prefix = `single_transformer_blocks.${block}`;
    const source = `${prefix}.proj_out.weight`;
    shares.set(shareName(prefix, "attn"), { source, columns: [0, width] });
    shares.set(shareName(prefix, "mlp"), { source, columns: [width, MLP_RATIO * width] });
  }
  return shares;
}

/** A share of `proj_out` by name, as modules take it. */
export function shareName(prefix: string, part: "attn" | "mlp"): string {
  return `${prefix}.proj_out.${part}.weight`;
}

/** Whether these are the tensors that modules take, as a packed copy has them: `proj_out` in its shares. */
export function isInShares(config: FluxConfig, { names }: Pick<TensorShapes, "names">): boolean {
  return projectionShares(config).keys().some((name) => names.has(name));
}

/**
 * Proves that the tensors are those of the configuration, or of a packed copy.
 *
 * @throws {AssetError} Naming the first missing, extra or mis-shaped tensor.
 */
export function checkFluxTensors(config: FluxConfig, shapes: TensorShapes): void {
  const wanted = new Map(fluxTensors(config));
  if (isInShares(config, shapes)) {
    for (const [name, { source, columns }] of projectionShares(config)) {
      wanted.set(name, [fluxWidth(config), columns[1]]);
      wanted.delete(source);
    }
  }
  checkTensors(wanted, shapes, "a FLUX transformer");
}
