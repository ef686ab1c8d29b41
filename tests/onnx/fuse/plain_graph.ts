/** A graph as one pass of fusing gives it to the next. */
import type { Graph } from "../../../src/onnx/graph.ts";

/** A graph that can be spread, which a builder cannot: it has getters. */
export function plainGraph(graph: Graph): Graph {
  const { name, inputs, parameters, constants, values, operations, outputs } = graph;
  return { name, inputs, parameters, constants, values, operations, outputs };
}
