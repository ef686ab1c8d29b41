/**
 * What a module's feature is made of when its branch does not run: features that it made at earlier steps.
 */

import type { GraphBuilder, Node } from "../../onnx/graph.ts";
import { add, multiply, slice } from "../../onnx/operators.ts";
import type { Module } from "../../model/module_graph.ts";
import type { Cell } from "../../plan/cells.ts";

/** Name of the graph input that holds the weights of all forecast features, one after the other. */
export const WEIGHTS = "weights";

/** Name of a module's feature as graph input or output; `age` is the number of newer ones. */
export function featureName(module: string, index: number, age = 0): string {
  return `feature.${module}.${index}${age === 0 ? "" : `.before.${age}`}`;
}

/** A cell that loads kept features instead of running the branch. */
export type LoadingCell = Exclude<Cell, "run" | "partial" | "skip">;

/** What a module's feature is made of: its kept ones, the latest first. */
export const FROM_KEPT: Readonly<
  Record<
    LoadingCell,
    (graph: GraphBuilder, kept: readonly Feature[], weights: readonly Node[]) => Feature
  >
> = {
  reuse: (_, [latest]) => latest!, // it loads one
  extrapolate: weightedSum,
};

/** Σ weight · feature, the latest first: the order decides on bits. */
function weightedSum(
  graph: GraphBuilder,
  kept: readonly Feature[],
  weights: readonly Node[],
): Feature {
  return kept[0]!.map((_, i) =>
    kept.map((feature, age) => multiply(graph, feature[i]!, weights[age]!)) // a weight for each
      .reduce((sum, term) => add(graph, sum, term))
  );
}

/** Tensors of a module's feature: one, or one for each stream. */
type Feature = readonly Node[];

/** Inputs of a graph for so many of a module's features, the latest first. */
export function keptInputs(
  graph: GraphBuilder,
  { name, featureDims }: Module,
  count: number,
): readonly Feature[] {
  return Array.from(
    { length: count },
    (_, age) => featureDims.map((dims, i) => graph.input(featureName(name, i, age), dims)),
  );
}

/** Returns a reader of a graph's weights of kept features, of which there are `total`, each as `(1)`. */
export function weightReader(
  total: number,
  graph: GraphBuilder,
): (count: number) => readonly Node[] {
  if (total === 0) return () => [];
  const all = graph.input(WEIGHTS, [total]);
  let next = 0;
  return (count) =>
    Array.from({ length: count }, () => slice(graph, all, { axis: 0, first: next++, count: 1 }));
}
