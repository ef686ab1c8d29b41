/**
 * Modules that compute some of their tokens. A graph takes those that are chosen, runs the branch on them, and puts
 * their features among those that were kept.
 *
 * Where a session owns its weights, one graph serves every step of such a plan: where the module runs in full, all
 * tokens are chosen, and none is left for what was kept.
 */

import type { Module, Streams } from "../../model/module_graph.ts";
import type { GraphBuilder, Node } from "../../onnx/graph.ts";
import { concat } from "../../onnx/operators.ts";
import { attendedSums, gatherTokens } from "../../onnx/token_operators.ts";

/** Name of the graph input that holds the tokens that are computed, `(N, K, 1)`. */
export function tokensName(module: string): string {
  return `tokens.${module}`;
}

/** Name of the graph input that says, for each token, which of the features that are computed or kept is its own. */
export function placesName(module: string): string {
  return `places.${module}`;
}

/** Name of the graph input that holds the kept feature, or a row in its place where all tokens are computed. */
export function baseName(module: string): string {
  return `kept.${module}`;
}

/** Name of what tokens are attended to, as graph output. */
export function attendedName(module: string): string {
  return `attended.${module}`;
}

/** Features of a module, computed for the tokens that are chosen and kept for the others. */
export function partialBranch(
  graph: GraphBuilder,
  { name, featureDims, branch }: Module,
  { streams, modulation }: { readonly streams: Streams; readonly modulation: readonly Node[] },
): readonly Node[] {
  const [batch, tokens, width] = featureDims[0]!; // (N, T, D)
  const chosen = graph.input(tokensName(name), [batch!, `K.${name}`, 1]);
  const pick = (_: GraphBuilder, x: Node): Node => gatherTokens(graph, x, chosen);
  const [made] = branch(graph, streams, modulation, { pick });
  const base = graph.input(baseName(name), [batch!, `B.${name}`, width!]);
  const all = concat(graph, [made!, base], 1); // a module with tokens makes one feature
  const places = graph.input(placesName(name), [batch!, tokens!, 1]);
  return [gatherTokens(graph, all, places)];
}

/** Makes what an attention's tokens are attended to an output of the graph. */
export function attendedOutput(
  graph: GraphBuilder,
  module: string,
): (queries: Node, keys: Node, heads: number) => void {
  return (queries, keys, heads) =>
    graph.output(attendedName(module), attendedSums(graph, [queries, keys], heads));
}
