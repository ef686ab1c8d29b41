/**
 * The blocks of an `AutoencoderKL`; tensors have diffusers' names.
 *
 * *Source:* diffusers `resnet.py` `ResnetBlock2D`, `upsampling.py`, `downsampling.py`, and
 * `attention_processor.py` `Attention` with one head.
 */

import {
  convolution,
  fromTokens,
  groupNorm,
  toTokens,
  upsampleNearest,
} from "../../onnx/convolution.ts";
import type { GraphBuilder, Node } from "../../onnx/graph.ts";
import * as operators from "../../onnx/operators.ts";
import { dense } from "../layers.ts";

/** Epsilon of every GroupNorm. *Source:* `resnet_eps=1e-6` of `Encoder` and `Decoder`. */
const NORM_EPSILON = 1e-6;

/** A named GroupNorm; what its statistics cover is up to it. */
export type Norm = (graph: GraphBuilder, x: Node, name: string) => Node;

/** Names of a graph's inputs and outputs beside `x` and `y`. */
export const OWN = "own";
/** Prefix of the inputs with a norm's given statistics. */
export const GIVEN = "given.";
/** Prefix of the outputs with a norm's own statistics. */
export const MEASURED = "measured.";

/** Norms with the statistics of their own input. */
export function ownNorm(groups: number): Norm {
  return (graph, x, name) => {
    const affine = affineOf(graph, x, name);
    return groupNorm(graph, x, { groups, epsilon: NORM_EPSILON, affine }).normed;
  };
}

/** Norms of a part of a picture: statistics of the whole may be given, the part's own are a result. */
export function partNorm(groups: number): Norm {
  return (graph, x, name) => {
    const given = graph.input(`${GIVEN}${name}`, [2, groups, 1]);
    const whole = { given, own: graph.sharedInput(OWN, [1]) };
    const affine = affineOf(graph, x, name);
    const result = groupNorm(graph, x, { groups, epsilon: NORM_EPSILON, affine, whole });
    graph.output(`${MEASURED}${name}`, result.measured!); // there is a whole
    return result.normed;
  };
}

function affineOf(
  graph: GraphBuilder,
  x: Node,
  name: string,
): { readonly weight: Node; readonly bias: Node } {
  const channels = Number(x.dims[1]);
  return {
    weight: graph.parameter(`${name}.weight`, [channels]),
    bias: graph.parameter(`${name}.bias`, [channels]),
  };
}

/** A 3 × 3 convolution that keeps the size. */
export function convolve(graph: GraphBuilder, x: Node, name: string, out: number): Node {
  return convolution(graph, x, kernelOf(graph, x, { name, out, side: 3 }));
}

/** A 1 × 1 convolution: a linear layer over channels. */
export function mixChannels(graph: GraphBuilder, x: Node, name: string, out: number): Node {
  return convolution(graph, x, kernelOf(graph, x, { name, out, side: 1 }));
}

function kernelOf(
  graph: GraphBuilder,
  x: Node,
  { name, out, side }: { readonly name: string; readonly out: number; readonly side: number },
): { readonly weight: Node; readonly bias: Node } {
  return {
    weight: graph.parameter(`${name}.weight`, [out, Number(x.dims[1]), side, side]),
    bias: graph.parameter(`${name}.bias`, [out]),
  };
}

/** A residual layer: its name, how many channels it makes, and how it norms. */
export interface Residual {
  /** Prefix of its tensors. */
  readonly name: string;
  /** Channels of its result. */
  readonly out: number;
  readonly norm: Norm;
}

/** Norm, SiLU and convolution, twice, added to x; channels stay the same. */
export function resnet(graph: GraphBuilder, x: Node, layer: Residual): Node {
  return leaveResnet(graph, enterResnet(graph, x, layer), { ...layer, skip: x });
}

/** Its first convolution. */
export function enterResnet(graph: GraphBuilder, x: Node, { name, out, norm }: Residual): Node {
  const active = operators.silu(graph, norm(graph, x, `${name}.norm1`));
  return convolve(graph, active, `${name}.conv1`, out);
}

/** Its second convolution, added to the shortcut around both. */
export function leaveResnet(
  graph: GraphBuilder,
  x: Node,
  { name, out, norm, skip }: Residual & { readonly skip: Node },
): Node {
  const active = operators.silu(graph, norm(graph, x, `${name}.norm2`));
  return operators.add(graph, skip, convolve(graph, active, `${name}.conv2`, out));
}

/** Whether the shortcut needs a convolution of its own. */
export function changesChannels({ dims }: Node, { out }: Pick<Residual, "out">): boolean {
  return dims[1] !== out;
}

/** The shortcut: a 1 × 1 convolution. */
export function shortcut(
  graph: GraphBuilder,
  x: Node,
  { name, out }: Pick<Residual, "name" | "out">,
): Node {
  return mixChannels(graph, x, `${name}.conv_shortcut`, out);
}

/** Twice the size: nearest neighbours, convolved. */
export function upsample(graph: GraphBuilder, x: Node, name: string): Node {
  return convolve(graph, upsampleNearest(graph, x), `${name}.conv`, Number(x.dims[1]));
}

/** Half the size. *Source:* `Downsample2D` with `F.pad(x, (0, 1, 0, 1))`. */
export function downsample(graph: GraphBuilder, x: Node, name: string): Node {
  const kernel = kernelOf(graph, x, { name: `${name}.conv`, out: Number(x.dims[1]), side: 3 });
  return convolution(graph, x, { ...kernel, stride: 2 });
}

/** Norm, SiLU and a 3 × 3 convolution: the end of either half. */
export function lastConvolution(
  graph: GraphBuilder,
  x: Node,
  { name, out, norm }: Residual,
): Node {
  const active = operators.silu(graph, norm(graph, x, `${name}.conv_norm_out`));
  return convolve(graph, active, `${name}.conv_out`, out);
}

/** What an attention's projections are called. */
export interface AttentionNames {
  readonly inputs: readonly [string, string, string];
  /** The projection of the result. */
  readonly output: string;
}

/** Today's names, and those of checkpoints from before diffusers 0.18, which most published VAEs are. */
export const ATTENTION_NAMES: { readonly now: AttentionNames; readonly before: AttentionNames } = {
  now: { inputs: ["to_q", "to_k", "to_v"], output: "to_out.0" },
  before: { inputs: ["query", "key", "value"], output: "proj_attn" },
};

/** Queries, keys and values of all pixels, each `(1, H·W, C)`. */
export function attentionInputs(
  graph: GraphBuilder,
  x: Node,
  { name, names, norm }: {
    readonly name: string;
    readonly names: AttentionNames;
    readonly norm: Norm;
  },
): Node[] {
  const channels = Number(x.dims[1]);
  const tokens = toTokens(graph, norm(graph, x, `${name}.group_norm`));
  return names.inputs.map((part) => dense(graph, tokens, `${name}.${part}`, channels));
}

/** Adds what attention mixed `(1, H·W, C)` to the pixels. */
export function attentionResult(
  graph: GraphBuilder,
  x: Node,
  { name, names, mixed }: {
    readonly name: string;
    readonly names: AttentionNames;
    readonly mixed: Node;
  },
): Node {
  const projected = dense(graph, mixed, `${name}.${names.output}`, Number(x.dims[1]));
  return operators.add(graph, x, fromTokens(graph, projected, x));
}
