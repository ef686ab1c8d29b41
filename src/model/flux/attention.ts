/**
 * What the attention of FLUX has in both kinds of blocks: normed and rotated queries and keys.
 *
 * @module
 */

import type { GraphBuilder, Node } from "../../onnx/graph.ts";
import * as operators from "../../onnx/operators.ts";
import { type FluxConfig, type FluxSizes, fluxWidth } from "./config.ts";
import { dense } from "../layers.ts";
import type { StreamShape } from "../module_graph.ts";

/** What the modules of FLUX are made from. */
export interface FluxGeometry extends FluxConfig {
  /** Tokens that costs are for. */
  readonly sizes: FluxSizes;
  /** Streams between blocks. */
  readonly streams: readonly StreamShape[];
}

/** Names of the constants that hold cosines and sines `(S, pairs of a head)`. */
export const ROTATION = { cos: "rotation.cos", sin: "rotation.sin" } as const;

/** Epsilon of the RMS norms of queries and keys. *Source:* diffusers `FluxAttention(eps=1e-6)`. */
const RMS_EPSILON = 1e-6;

/** Queries, keys and values `(N, tokens, D)` of one kind of tokens. */
export type Projections = readonly [q: Node, k: Node, v: Node];

/** Names of the weights of {@link project}, under the block's attention. */
export interface ProjectionNames {
  /** Linear layers of queries, keys and values. */
  readonly linear: readonly [q: string, k: string, v: string];
  /** RMS norms of queries and keys. */
  readonly norm: readonly [q: string, k: string];
}

/** Projects tokens; every head of queries and keys is normed. */
export function project(
  graph: GraphBuilder,
  x: Node,
  { linear: [q, k, v], norm: [queryNorm, keyNorm] }: ProjectionNames,
  headDim: number,
): Projections {
  const width = Number(x.dims.at(-1));
  return [
    normHeads(graph, dense(graph, x, q, width), queryNorm, headDim),
    normHeads(graph, dense(graph, x, k, width), keyNorm, headDim),
    dense(graph, x, v, width),
  ];
}

/** Rotates queries and keys of all tokens `(N, S, D)` and mixes their values. */
export function rotatedAttention(
  graph: GraphBuilder,
  [q, k, v]: Projections,
  config: FluxConfig,
): Node {
  const shape = [q.dims[1]!, config.headDim / 2]; // rank 3
  const angles = {
    cos: graph.sharedInput(ROTATION.cos, shape),
    sin: graph.sharedInput(ROTATION.sin, shape),
  };
  const rotated = [
    operators.rotatePairs(graph, q, angles),
    operators.rotatePairs(graph, k, angles),
    v,
  ] as const;
  return operators.attention(graph, rotated, config.numHeads);
}

/** Multiply-accumulates of attention over S tokens, projections apart. */
export function mixingMacs(config: FluxConfig, tokens: number): number {
  return 2 * tokens ** 2 * fluxWidth(config);
}

function normHeads(graph: GraphBuilder, x: Node, name: string, headDim: number): Node {
  const [batch, tokens, width] = x.dims;
  const heads = operators.reshape(graph, x, [batch!, tokens!, Number(width) / headDim, headDim]); // rank 3
  const scale = graph.parameter(`${name}.weight`, [headDim]);
  const normed = operators.rmsNorm(graph, heads, { scale, epsilon: RMS_EPSILON });
  return operators.reshape(graph, normed, x.dims);
}
