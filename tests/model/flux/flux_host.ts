/** FLUX on the host in float64, written from the formulas and diffusers' tensor names; nothing shared with ours. */

import * as host from "../../conformance/host_operators.ts";
import type { HostTensor } from "../../conformance/host_operators.ts";

/** Sizes, as diffusers' config.json has them. */
export interface HostFlux {
  readonly num_layers: number;
  readonly num_single_layers: number;
  readonly num_attention_heads: number;
  readonly attention_head_dim: number;
  readonly guidance_embeds: boolean;
  readonly axes_dims_rope: readonly number[];
}

/** What one forward pass is given. */
export interface HostInputs {
  /** `(N, T, C)`. */
  readonly latent: HostTensor;
  /** `(N, M, W)`. */
  readonly text: HostTensor;
  /** `(N, P)`. */
  readonly pooled: HostTensor;
  /** `(T, axes)`. */
  readonly ids: HostTensor;
  /** 0 … 1. */
  readonly time: number;
  readonly guidance: number;
}

/** Velocity `(N, T, C)`; `onAttention` hears of the queries and keys of each attention, turned, in order. */
export function hostFlux(
  config: HostFlux,
  weight: (name: string) => HostTensor,
  inputs: HostInputs,
  onAttention: (queries: HostTensor, keys: HostTensor) => void = () => {},
): HostTensor {
  const dense = (x: HostTensor, name: string): HostTensor =>
    host.linear(x, weight(`${name}.weight`), weight(`${name}.bias`));
  const add = (a: HostTensor, b: HostTensor): HostTensor => host.zip(a, b, (x, y) => x + y);
  const gated = (x: HostTensor, gate: HostTensor, y: HostTensor): HostTensor =>
    add(x, host.zip(gate, y, (g, v) => g * v));
  const embed = (x: HostTensor, name: string): HostTensor =>
    dense(
      host.map(dense(x, `time_text_embed.${name}.linear_1`), host.silu),
      `time_text_embed.${name}.linear_2`,
    );
  const [batch] = inputs.latent.dims as [number];
  let vector = embed(features(inputs.time, batch), "timestep_embedder");
  if (config.guidance_embeds) {
    vector = add(vector, embed(features(inputs.guidance, batch), "guidance_embedder"));
  }
  vector = host.map(add(vector, embed(inputs.pooled, "text_embedder")), host.silu);
  const rows = (name: string, count: number): HostTensor[] => {
    const flat = dense(vector, name);
    const width = flat.dims[1]! / count;
    return Array.from({ length: count }, (_, i) => {
      const row = host.slice(flat, { axis: 1, first: i * width, count: width });
      return { dims: [batch, 1, width], data: row.data };
    });
  };
  const modulate = (x: HostTensor, shift: HostTensor, scale: HostTensor): HostTensor =>
    add(host.zip(host.layerNorm(x, 1e-6), scale, (v, s) => v * (1 + s)), shift);
  const angles = anglesOf(config, inputs);
  const attend = (q: HostTensor, k: HostTensor, v: HostTensor): HostTensor => {
    const [queries, keys] = [turn(q, angles), turn(k, angles)];
    onAttention(queries, keys);
    return host.attention(queries, keys, v, config.num_attention_heads);
  };
  const normed = (x: HostTensor, name: string): HostTensor =>
    host.rmsNormHeads(x, weight(`${name}.weight`), 1e-6);

  let x = dense(inputs.latent, "x_embedder");
  let text = dense(inputs.text, "context_embedder");
  const [, M] = text.dims as [number, number];
  const [, T] = x.dims as [number, number];
  for (let block = 0; block < config.num_layers; block++) {
    const name = `transformer_blocks.${block}`;
    const image = rows(`${name}.norm1.linear`, 6);
    const context = rows(`${name}.norm1_context.linear`, 6);
    const ofImage = modulate(x, image[0]!, image[1]!);
    const ofText = modulate(text, context[0]!, context[1]!);
    const joined = (own: string, added: string): HostTensor =>
      host.concat(
        [dense(ofText, `${name}.attn.${added}`), dense(ofImage, `${name}.attn.${own}`)],
        1,
      );
    const split = (joint: HostTensor): [HostTensor, HostTensor] => [
      host.slice(joint, { axis: 1, first: 0, count: M }),
      host.slice(joint, { axis: 1, first: M, count: T }),
    ];
    const normedJoint = (own: string, added: string, norm: string): HostTensor => {
      const [t, i] = split(joined(own, added));
      return host.concat([
        normed(t, `${name}.attn.norm_added_${norm}`),
        normed(i, `${name}.attn.norm_${norm}`),
      ], 1);
    };
    const mixed = split(attend(
      normedJoint("to_q", "add_q_proj", "q"),
      normedJoint("to_k", "add_k_proj", "k"),
      joined("to_v", "add_v_proj"),
    ));
    x = gated(x, image[2]!, dense(mixed[1], `${name}.attn.to_out.0`));
    text = gated(text, context[2]!, dense(mixed[0], `${name}.attn.to_add_out`));
    const mlp = (y: HostTensor, part: string): HostTensor =>
      dense(
        host.map(dense(y, `${name}.${part}.net.0.proj`), host.geluTanh),
        `${name}.${part}.net.2`,
      );
    x = gated(x, image[5]!, mlp(modulate(x, image[3]!, image[4]!), "ff"));
    text = gated(text, context[5]!, mlp(modulate(text, context[3]!, context[4]!), "ff_context"));
  }
  let joint = host.concat([text, x], 1);
  for (let block = 0; block < config.num_single_layers; block++) {
    const name = `single_transformer_blocks.${block}`;
    const [shift, scale, gate] = rows(`${name}.norm.linear`, 3) as [
      HostTensor,
      HostTensor,
      HostTensor,
    ];
    const y = modulate(joint, shift, scale);
    const mixed = attend(
      normed(dense(y, `${name}.attn.to_q`), `${name}.attn.norm_q`),
      normed(dense(y, `${name}.attn.to_k`), `${name}.attn.norm_k`),
      dense(y, `${name}.attn.to_v`),
    );
    const raised = host.map(dense(y, `${name}.proj_mlp`), host.geluTanh);
    joint = gated(joint, gate, dense(host.concat([mixed, raised], 2), `${name}.proj_out`));
  }
  const [scale, shift] = rows("norm_out.linear", 2) as [HostTensor, HostTensor];
  return dense(
    modulate(host.slice(joint, { axis: 1, first: M, count: T }), shift, scale),
    "proj_out",
  );
}

/** Cosines, then sines, of the thousandfold. */
function features(value: number, batch: number): HostTensor {
  const row = Array.from({ length: 256 }, (_, i) => {
    const angle = value * 1000 * 10000 ** (-(i % 128) / 128);
    return i < 128 ? Math.cos(angle) : Math.sin(angle);
  });
  const data = Float64Array.from({ length: batch * 256 }, (_, i) => row[i % 256]!);
  return { dims: [batch, 256], data };
}

/** The angle of each pair of a head, by token; text first, at position 0. */
function anglesOf({ axes_dims_rope }: HostFlux, { text, ids }: HostInputs): number[][] {
  const [, M] = text.dims as [number, number];
  const [T, axes] = ids.dims as [number, number];
  return Array.from(
    { length: M + T },
    (_, token) =>
      axes_dims_rope.flatMap((dim, axis) =>
        Array.from({ length: dim / 2 }, (_, k) => {
          const position = token < M ? 0 : ids.data[(token - M) * axes + axis]!;
          return position * 10000 ** (-2 * k / dim);
        })
      ),
  );
}

/** Turns neighbouring pairs of each head. */
function turn(x: HostTensor, angles: readonly (readonly number[])[]): HostTensor {
  const pairs = angles[0]!.length;
  const table = (fn: (angle: number) => number): HostTensor => ({
    dims: [angles.length, pairs],
    data: Float64Array.from(angles.flat(), fn),
  });
  return host.rotatePairs(x, table(Math.cos), table(Math.sin));
}
