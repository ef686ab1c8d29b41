/**
 * The tensors that a model's graphs take.
 */

import { GraphBuilder, type Node } from "../onnx/graph.ts";
import type { Transformer } from "./module_graph.ts";

/** Every tensor that the graphs of a transformer take, by name: exactly these must be present. */
export function tensorsOf(
  { embedding, modules, head, conditioning, preparation }: Transformer,
): Map<string, readonly number[]> {
  const graph = new GraphBuilder("every part");
  const { width, timeWidth, vectorWidth } = conditioning;
  const vectors = (rows: number): readonly Node[] =>
    Array.from({ length: rows }, (_, i) => graph.sharedInput(`modulation.${i}`, ["N", 1, width]));
  let streams = embedding.build(graph, graph.input("latent", embedding.latentDims));
  for (const { modulationRows, branch, merge } of modules) {
    const features = branch(graph, streams, vectors(modulationRows));
    streams = merge(graph, streams, vectors(modulationRows), features);
  }
  head.build(graph, streams, vectors(head.modulationRows));
  const labels = graph.input("labels", vectorWidth === undefined ? ["R"] : ["R", vectorWidth]);
  const condition = conditioning.embed(graph, graph.input("times", ["R", timeWidth]), labels);
  for (const group of conditioning.groups) group.build(graph, condition);
  const given = preparation?.inputs.map(({ name, dims }) => [name, graph.input(name, dims)]) ?? [];
  preparation?.build(graph, Object.fromEntries(given));
  return new Map(graph.parameters.map(({ name, dims }) => [name, dims.map(Number)]));
}
