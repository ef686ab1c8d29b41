/**
 * Layers that modules are built from.
 */

import type { GraphBuilder, Node } from "../onnx/graph.ts";
import { linearLayer } from "../onnx/linear.ts";
import * as operators from "../onnx/operators.ts";
import type { BranchOptions } from "./module_graph.ts";

/** Epsilon of every LayerNorm in DiT and FLUX. *Source:* `models.py`, `elementwise_affine=False, eps=1e-6`. */
const NORM_EPSILON = 1e-6;

/** A Linear layer whose weights are `<name>.weight` and `<name>.bias`. */
export function dense(graph: GraphBuilder, x: Node, name: string, out: number): Node {
  return linearLayer(graph, x, { weight: `${name}.weight`, bias: `${name}.bias`, out });
}

/** adaLN: `norm(x)·(1 + scale) + shift`, with shift and scale `(N, 1, D)`. */
export function modulatedNorm(graph: GraphBuilder, x: Node, shift: Node, scale: Node): Node {
  const normed = operators.layerNorm(graph, x, NORM_EPSILON);
  const one = graph.constant([1], [1], "float32");
  const scaled = operators.multiply(graph, normed, operators.add(graph, scale, one));
  return operators.add(graph, scaled, shift);
}

/** adaLN-zero: `x + gate·feature`, with gate `(N, 1, D)`. */
export function gatedAdd(graph: GraphBuilder, x: Node, gate: Node, feature: Node): Node {
  return operators.add(graph, x, operators.multiply(graph, gate, feature));
}

/** How tokens attend to each other. */
export interface SelfAttention extends Pick<BranchOptions, "onAttention"> {
  readonly heads: number;
  /** What queries are multiplied by, beside 1/√d; absent = 1. */
  readonly scale?: number | undefined;
}

/** Self-attention over tokens: qkv projection, heads, output projection; weights under `name`. */
export function selfAttention(
  graph: GraphBuilder,
  x: Node,
  name: string,
  { heads, scale, onAttention }: SelfAttention,
): Node {
  const width = Number(x.dims.at(-1));
  const qkv = dense(graph, x, `${name}.qkv`, 3 * width); // (N, T, 3D)
  const [projected, k, v] = operators.splitLast(graph, qkv, 3);
  const q = scale === undefined ? projected! : operators.scaled(graph, projected!, scale); // three parts were asked for
  onAttention?.(q, k!, heads);
  const mixed = operators.attention(graph, [q, k!, v!], heads);
  return dense(graph, mixed, `${name}.proj`, width);
}

/** Two Linear layers of these names with tanh-GELU between. */
export function feedForward(
  graph: GraphBuilder,
  x: Node,
  [first, second]: readonly [string, string],
  hidden: number,
): Node {
  const raised = operators.geluTanh(graph, dense(graph, x, first, hidden)); // (N, T, 4D)
  return dense(graph, raised, second, Number(x.dims.at(-1)));
}
