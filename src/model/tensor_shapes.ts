/**
 * Names and shapes of a model's tensors, and whether they are those that its configuration asks for.
 */

import { AssetError } from "../errors.ts";
import { GraphBuilder, type Node } from "../onnx/graph.ts";
import type { Transformer } from "./module_graph.ts";

/** Names and shapes of tensors, as far as a configuration depends on them. */
export interface TensorShapes {
  readonly names: ReadonlySet<string>;
  /** Shape of a tensor; `undefined` when it is absent. */
  dims(name: string): readonly number[] | undefined;
}

/**
 * Proves that tensors are the wanted ones, all of them and no others; `whole` is what they make up.
 *
 * @throws {AssetError} Naming the first missing, extra or mis-shaped tensor.
 */
export function checkTensors(
  wanted: ReadonlyMap<string, readonly number[]>,
  shapes: TensorShapes,
  whole: string,
): void {
  for (const [name, dims] of wanted) {
    const actual = shapes.dims(name);
    if (actual !== undefined && `${actual}` === `${dims}`) continue;
    throw new AssetError(
      `Cannot use weights: ${name} must be [${dims}]: current value is ${
        actual === undefined ? "missing" : `[${actual}]`
      }`,
    );
  }
  const extra = [...shapes.names].find((name) => !wanted.has(name));
  if (extra === undefined) return;
  throw new AssetError(
    `Cannot use weights: tensor ${extra} is not part of ${whole}.`,
  );
}

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
