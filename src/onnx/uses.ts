/**
 * Who makes and who reads the values of a graph.
 */

import type { Constant, Graph, Node, Operation } from "./graph.ts";

/** An index over a graph, which must not change. */
export class Uses {
  readonly #makers = new Map<string, Operation>();
  readonly #readers = new Map<string, Operation[]>();
  readonly #nodes: ReadonlyMap<string, Node>;
  readonly #constants: ReadonlyMap<string, Constant>;
  readonly #inputs: ReadonlySet<string>;
  readonly #results: ReadonlySet<string>;

  constructor(graph: Graph) {
    for (const operation of graph.operations) {
      for (const name of operation.outputs) this.#makers.set(name, operation);
      for (const name of new Set(operation.inputs)) {
        this.#readers.set(name, [...this.readers(name), operation]);
      }
    }
    const nodes = [...graph.inputs, ...graph.parameters, ...graph.constants, ...graph.values];
    this.#nodes = new Map(nodes.map((node) => [node.name, node]));
    this.#constants = new Map(graph.constants.map((constant) => [constant.name, constant]));
    this.#inputs = new Set(graph.inputs.map(({ name }) => name));
    this.#results = new Set(graph.outputs.map(({ node }) => node.name));
  }

  /** The operator that makes a value. */
  maker(name: string): Operation | undefined {
    return this.#makers.get(name);
  }

  /** The operators that read a value, in execution order. */
  readers(name: string): readonly Operation[] {
    return this.#readers.get(name) ?? [];
  }

  node(name: string): Node | undefined {
    return this.#nodes.get(name);
  }

  constant(name: string): Constant | undefined {
    return this.#constants.get(name);
  }

  /** Whether it is given at each run. */
  isInput(name: string): boolean {
    return this.#inputs.has(name);
  }

  /** Whether it is a result of the graph. */
  isResult(name: string): boolean {
    return this.#results.has(name);
  }
}
