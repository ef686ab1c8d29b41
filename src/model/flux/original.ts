/**
 * Black Forest Labs' original names: where each tensor of diffusers' state dict lies among theirs.
 *
 * *Source:* black-forest-labs/flux `model.py`, `layers.py`; diffusers
 * `convert_flux_transformer_checkpoint_to_diffusers`.
 */

import type { Weights } from "../../assets/weights.ts";
import { AssetError } from "../../errors.ts";
import { MLP_RATIO } from "./config.ts";
import { type TensorPart, viewWeights } from "../tensor_views.ts";

type Parts = Map<string, readonly TensorPart[]>;
type Rows = readonly (readonly [first: number, count: number])[];

const ORIGINAL =
  /^(double_blocks|single_blocks|img_in|txt_in|time_in|guidance_in|vector_in|final_layer)\./;

/**
 * Weights under diffusers' names, whichever of the two they have.
 *
 * @throws {AssetError} When both kinds of names are there.
 */
export function underDiffusersNames(weights: Weights): Weights {
  const original = [...weights.names].find((name) => ORIGINAL.test(name));
  if (original === undefined) return weights;
  const other = [...weights.names].find((name) => !ORIGINAL.test(name));
  if (other !== undefined) {
    throw new AssetError(
      `Cannot use weights: names must all be the original's or all diffusers': ` +
        `current value is ${original} and ${other}`,
    );
  }
  const parts = partsOf(weights);
  checkCover(weights, parts);
  return viewWeights(weights, parts);
}

/** Refuses a tensor whose rows are not exactly those that its parts take. */
function checkCover(weights: Weights, parts: Parts): void {
  const ends = new Map<string, number>();
  for (const { source, rows } of [...parts.values()].flat()) {
    if (rows !== undefined) ends.set(source, Math.max(ends.get(source) ?? 0, rows[0] + rows[1]));
  }
  for (const [source, end] of ends) {
    const rows = weights.dims(source)?.[0];
    if (rows === end) continue;
    throw new AssetError(
      `Cannot use weights: ${source} must have ${end} rows: current value is ${rows}`,
    );
  }
}

function partsOf({ names, dims }: Weights): Parts {
  const [width = 0] = dims("img_in.weight") ?? [];
  const parts: Parts = new Map();
  whole(parts, "x_embedder", "img_in");
  whole(parts, "context_embedder", "txt_in");
  embedder(parts, "timestep_embedder", "time_in");
  if (names.has("guidance_in.in_layer.weight")) embedder(parts, "guidance_embedder", "guidance_in");
  embedder(parts, "text_embedder", "vector_in");
  for (let i = 0; names.has(`double_blocks.${i}.img_attn.qkv.weight`); i++) dual(parts, i, width);
  for (let i = 0; names.has(`single_blocks.${i}.linear1.weight`); i++) single(parts, i, width);
  // Theirs is shift then scale, diffusers' scale then shift.
  rowsOf(parts, "norm_out.linear", "final_layer.adaLN_modulation.1", [[width, width], [0, width]]);
  whole(parts, "proj_out", "final_layer.linear");
  return withPresent(parts, names);
}

function dual(parts: Parts, block: number, width: number): void {
  const [to, from] = [`transformer_blocks.${block}`, `double_blocks.${block}`];
  const sides = [
    ["img", "norm1", ["to_q", "to_k", "to_v"], ["norm_q", "norm_k"], "to_out.0", "ff"],
    [
      "txt",
      "norm1_context",
      ["add_q_proj", "add_k_proj", "add_v_proj"],
      ["norm_added_q", "norm_added_k"],
      "to_add_out",
      "ff_context",
    ],
  ] as const;
  for (const [side, norm, projections, [queryNorm, keyNorm], out, mlp] of sides) {
    whole(parts, `${to}.${norm}.linear`, `${from}.${side}_mod.lin`);
    projections.forEach((name, i) =>
      rowsOf(parts, `${to}.attn.${name}`, `${from}.${side}_attn.qkv`, [[i * width, width]])
    );
    const scale = (norm: string): TensorPart => ({
      source: `${from}.${side}_attn.norm.${norm}.scale`,
    });
    parts.set(`${to}.attn.${queryNorm}.weight`, [scale("query_norm")]);
    parts.set(`${to}.attn.${keyNorm}.weight`, [scale("key_norm")]);
    whole(parts, `${to}.attn.${out}`, `${from}.${side}_attn.proj`);
    whole(parts, `${to}.${mlp}.net.0.proj`, `${from}.${side}_mlp.0`);
    whole(parts, `${to}.${mlp}.net.2`, `${from}.${side}_mlp.2`);
  }
}

function single(parts: Parts, block: number, width: number): void {
  const [to, from] = [`single_transformer_blocks.${block}`, `single_blocks.${block}`];
  whole(parts, `${to}.norm.linear`, `${from}.modulation.lin`);
  ["to_q", "to_k", "to_v"].forEach((name, i) =>
    rowsOf(parts, `${to}.attn.${name}`, `${from}.linear1`, [[i * width, width]])
  );
  rowsOf(parts, `${to}.proj_mlp`, `${from}.linear1`, [[3 * width, MLP_RATIO * width]]);
  parts.set(`${to}.attn.norm_q.weight`, [{ source: `${from}.norm.query_norm.scale` }]);
  parts.set(`${to}.attn.norm_k.weight`, [{ source: `${from}.norm.key_norm.scale` }]);
  whole(parts, `${to}.proj_out`, `${from}.linear2`);
}

function embedder(parts: Parts, to: string, from: string): void {
  whole(parts, `time_text_embed.${to}.linear_1`, `${from}.in_layer`);
  whole(parts, `time_text_embed.${to}.linear_2`, `${from}.out_layer`);
}

function whole(parts: Parts, to: string, from: string): void {
  for (const kind of ["weight", "bias"]) {
    parts.set(`${to}.${kind}`, [{ source: `${from}.${kind}` }]);
  }
}

function rowsOf(parts: Parts, to: string, from: string, rows: Rows): void {
  for (const kind of ["weight", "bias"]) {
    const source = `${from}.${kind}`;
    parts.set(`${to}.${kind}`, rows.map((run) => ({ source, rows: run })));
  }
}

/** Absent tensors are reported as missing by name; extra ones keep their name and are reported too. */
function withPresent(parts: Parts, names: ReadonlySet<string>): Parts {
  const present = new Map([...parts].filter(([, [part]]) => names.has(part!.source))); // there is one
  const used = new Set([...present.values()].flat().map(({ source }) => source));
  for (const name of names) if (!used.has(name)) present.set(name, [{ source: name }]);
  return present;
}
