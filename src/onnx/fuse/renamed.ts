/**
 * A graph in which values are other ones.
 */

import type { Graph } from "../graph.ts";

/** Gives values another's name, and leaves out the operators that made them. */
export function renamed(graph: Graph, names: ReadonlyMap<string, string>): Graph {
  const operations = graph.operations
    .filter(({ outputs }) => !names.has(outputs[0]!)) // every operator has a result
    .map((operation) => ({
      ...operation,
      inputs: operation.inputs.map((name) => names.get(name) ?? name),
    }));
  return { ...graph, operations };
}
