/**
 * Linear layers, and how they become operators: in float32, or as whoever builds the graph wants it.
 *
 * @module
 */

import type { GraphBuilder, Node } from "./graph.ts";
import { linear } from "./operators.ts";

/** A Linear layer as PyTorch has it: W `(out, in)`, b `(out)`. */
export interface LinearLayer {
  /** Name of its weight. */
  readonly weight: string;
  /** Name of its bias; absent = none. */
  readonly bias?: string;
  /** Width of its result. */
  readonly out: number;
}

/** Adds a layer to a graph: x `(…, in)` to `(…, out)`. */
export type LinearLowering = (graph: GraphBuilder, x: Node, layer: LinearLayer) => Node;

/** Adds a layer as the graph wants its layers just now. */
export function linearLayer(graph: GraphBuilder, x: Node, layer: LinearLayer): Node {
  return (graph.lowering ?? plainLinear)(graph, x, layer);
}

/** A layer in float32. */
export function plainLinear(graph: GraphBuilder, x: Node, layer: LinearLayer): Node {
  const weight = graph.parameter(layer.weight, [layer.out, Number(x.dims.at(-1))]);
  return linear(graph, x, weight, biasOf(graph, layer));
}

/** The bias of a layer as parameter; `undefined` where it has none. */
export function biasOf(graph: GraphBuilder, { bias, out }: LinearLayer): Node | undefined {
  return bias === undefined ? undefined : graph.parameter(bias, [out]);
}
