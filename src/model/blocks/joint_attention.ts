/**
 * Attention over tokens of several kinds, each with projections of its own.
 *
 * *Source:* Esser et al., arXiv 2403.03206 (MMDiT).
 */

import type { GraphBuilder, Node } from "../../onnx/graph.ts";
import * as operators from "../../onnx/operators.ts";
import { dense } from "../layers.ts";
import type { BranchOptions } from "../module_graph.ts";

/** Epsilon of the RMS norms of queries and keys. *Source:* diffusers `FluxAttention(eps=1e-6)`. */
const RMS_EPSILON = 1e-6;

/** Queries, keys and values `(N, tokens, D)` of one kind of tokens. */
export type Projections = readonly [q: Node, k: Node, v: Node];

/** Names of the weights of {@link project}. */
export interface ProjectionNames {
  readonly linear: readonly [q: string, k: string, v: string];
  readonly norm: readonly [q: string, k: string];
}

/** How values are mixed. */
export interface Mixing extends Pick<BranchOptions, "onAttention"> {
  readonly heads: number;
  /** Rotates queries and keys of all tokens by their positions; absent = positions are in the tokens. */
  readonly rotate?: (graph: GraphBuilder, x: Node) => Node;
}

/** Projects tokens `(N, tokens, D)`; every head of queries and keys is normed. */
export function project(
  graph: GraphBuilder,
  x: Node,
  { linear: [q, k, v], norm: [queryNorm, keyNorm] }: ProjectionNames,
  heads: number,
): Projections {
  const width = Number(x.dims.at(-1));
  return [
    normHeads(graph, dense(graph, x, q, width), queryNorm, heads),
    normHeads(graph, dense(graph, x, k, width), keyNorm, heads),
    dense(graph, x, v, width),
  ];
}

/** Mixes the values of tokens `(N, S, D)`. */
export function mix(
  graph: GraphBuilder,
  [q, k, v]: Projections,
  { heads, rotate = (_, x) => x, onAttention }: Mixing,
): Node {
  const [queries, keys] = [rotate(graph, q), rotate(graph, k)];
  onAttention?.(queries, keys, heads);
  return operators.attention(graph, [queries, keys, v], heads);
}

/** Mixes the values of two kinds of tokens; the result has as many as both, `first` in front. */
export function mixJointly(
  graph: GraphBuilder,
  { first, second }: { readonly first: Projections; readonly second: Projections },
  mixing: Mixing,
): Node {
  const joined = (i: 0 | 1 | 2): Node => operators.concat(graph, [first[i], second[i]], 1);
  return mix(graph, [joined(0), joined(1), joined(2)], mixing);
}

function normHeads(graph: GraphBuilder, x: Node, name: string, heads: number): Node {
  const [batch, tokens, width] = x.dims;
  const headDim = Number(width) / heads;
  const scale = graph.parameter(`${name}.weight`, [headDim]);
  const split = operators.reshape(graph, x, [batch!, tokens!, heads, headDim]); // rank 3
  const normed = operators.rmsNorm(graph, split, { scale, epsilon: RMS_EPSILON });
  return operators.reshape(graph, normed, x.dims);
}
