/**
 * What graphs and tables of text encoders are made from.
 */

import type { Weights } from "../assets/weights.ts";
import { GraphBuilder, type Node } from "../onnx/graph.ts";
import { linearLayer } from "../onnx/linear.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { BIAS, INPUT, RESULT, type TextGraph, type TextTokens } from "./network.ts";

/** A graph from x to y. */
export function textGraph(
  key: string,
  width: number,
  build: (graph: GraphBuilder, x: Node) => Node,
): TextGraph {
  return graphOf(key, (graph) => build(graph, graph.input(INPUT, ["N", "M", width])));
}

/** A graph from x and the bias of attention, of so many heads or one for all, to y. */
export function blockGraph(
  key: string,
  { width, biases }: { readonly width: number; readonly biases: number },
  build: (graph: GraphBuilder, x: Node, bias: Node) => Node,
): TextGraph {
  return graphOf(key, (graph) => {
    const x = graph.input(INPUT, ["N", "M", width]);
    return build(graph, x, graph.input(BIAS, ["N", biases, "M", "M"]));
  });
}

/** A graph from one row `(1, D)` for each text to y. */
export function rowGraph(
  key: string,
  width: number,
  build: (graph: GraphBuilder, x: Node) => Node,
): TextGraph {
  return graphOf(key, (graph) => build(graph, graph.input(INPUT, ["N", width])));
}

function graphOf(key: string, build: (graph: GraphBuilder) => Node): TextGraph {
  return {
    key,
    build(lowering): GraphBuilder {
      const graph = new GraphBuilder(key);
      graph.output(RESULT, graph.lowered(lowering, () => build(graph)));
      return graph;
    },
  };
}

/** A Linear layer with weight alone. */
export function linear(graph: GraphBuilder, x: Node, name: string, out: number): Node {
  return linearLayer(graph, x, { weight: `${name}.weight`, out });
}

/** A Linear layer with weight and bias. */
export function dense(graph: GraphBuilder, x: Node, name: string, out: number): Node {
  return linearLayer(graph, x, { weight: `${name}.weight`, bias: `${name}.bias`, out });
}

/** Logits that a softmax makes 0, whatever stands beside them. */
export const HIDDEN = -1e9;

/**
 * Rows of a table `(rows, D)` for each text, `(1, M, D)`; those alone are read from the file, and each of them once.
 *
 * @throws {RangeError} When an id is none of the table.
 */
export async function readRows(
  table: string,
  texts: readonly Pick<TextTokens, "ids">[],
  weights: Weights,
): Promise<Tensor[]> {
  const [rows = 0, width = 0] = weights.dims(table) ?? [];
  const distinct = [...new Set(texts.flatMap(({ ids }) => Array.from(ids)))];
  const wrong = distinct.find((id) => !Number.isInteger(id) || id < 0 || id >= rows);
  if (wrong !== undefined) {
    throw new RangeError(
      `Cannot encode text: token ids must be in 0 … ${rows - 1}: current value is ${wrong}`,
    );
  }
  const indices = new Array<number>(distinct.length * width);
  for (let i = 0; i < indices.length; i++) {
    indices[i] = distinct[Math.floor(i / width)]! * width + i % width; // a row for each
  }
  const read = await weights.sample(table, indices);
  const placeOf = new Map(distinct.map((id, place) => [id, place]));
  return texts.map(({ ids }) => {
    const data = new Float32Array(ids.length * width);
    for (let token = 0; token < ids.length; token++) {
      const place = placeOf.get(ids[token]!)!; // every id is among them
      data.set(read.subarray(place * width, (place + 1) * width), token * width);
    }
    return { dims: [1, ids.length, width], data };
  });
}
