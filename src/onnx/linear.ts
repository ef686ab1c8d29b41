/**
 * Linear layers, and how they become operators: in float32, or as the graph's builder decides.
 */

import type { GraphBuilder, LinearLayer, Node } from "./graph.ts";
import { linear } from "./operators.ts";

/** Adds a layer by the graph's current lowering. */
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
