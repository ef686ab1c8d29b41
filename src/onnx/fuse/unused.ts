/**
 * Leaves out what no result of a graph needs.
 */

import type { Graph, Node, Operation } from "../graph.ts";

/** The graph without operators, inputs, parameters and constants that nothing needs: a runtime runs whatever is there. */
export function withoutUnused(graph: Graph): Graph {
  const needed = new Set(graph.outputs.map(({ node }) => node.name));
  const operations: Operation[] = [];
  for (const operation of graph.operations.toReversed()) {
    if (!operation.outputs.some((name) => needed.has(name))) continue;
    for (const name of operation.inputs) needed.add(name);
    operations.unshift(operation);
  }
  const isNeeded = ({ name }: Node): boolean => needed.has(name);
  return {
    ...graph,
    operations,
    inputs: graph.inputs.filter(isNeeded),
    parameters: graph.parameters.filter(isNeeded),
    constants: graph.constants.filter(isNeeded),
  };
}
