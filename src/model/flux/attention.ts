/**
 * Attention as both kinds of FLUX blocks have it: queries and keys are rotated by position.
 */

import type { GraphBuilder, Node } from "../../onnx/graph.ts";
import * as operators from "../../onnx/operators.ts";
import type { Mixing } from "../blocks/joint_attention.ts";
import { type FluxConfig, type FluxSizes, fluxWidth } from "./config.ts";
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

/** Rotates queries and keys of all tokens, `(N, S, D)`. */
export function mixingOf({ numHeads, headDim }: FluxConfig): Mixing {
  const rotate = (graph: GraphBuilder, x: Node): Node => {
    const shape = [x.dims[1]!, headDim / 2]; // rank 3
    const cos = graph.sharedInput(ROTATION.cos, shape);
    return operators.rotatePairs(graph, x, { cos, sin: graph.sharedInput(ROTATION.sin, shape) });
  };
  return { heads: numHeads, rotate };
}

/** Multiply-accumulates of attention over S tokens, projections apart. */
export function mixingMacs(config: FluxConfig, tokens: number): number {
  return 2 * tokens ** 2 * fluxWidth(config);
}
