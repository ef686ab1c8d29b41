/**
 * Loads graphs with their weights as initializers, and names the graph of each session.
 */

import type { Weights } from "../assets/weights.ts";
import type { Backend, LoadOptions, Session } from "../backend/backend.ts";
import type { Graph, LinearLayer, LinearLowering, Node } from "../onnx/graph.ts";
import { plainLinear } from "../onnx/linear.ts";
import { encodeModel, type WeightNumbers } from "../onnx/model_proto.ts";
import { discard } from "../tensor/tensor.ts";

/** How to build a graph, and the key of its session. */
export interface GraphRecipe {
  /** Equal for equal graphs. */
  readonly key: string;
  /** Builds the graph; `lowering` decides the precision of its linear layers. */
  readonly build: (lowering?: LinearLowering) => Graph;
  /** Sizes that shapes name and that are fixed in this session. */
  readonly sizes?: Readonly<Record<string, number>>;
  /** Keys of sessions that this one replaces, so that weights are not held twice. */
  readonly replaces?: readonly string[];
}

/** What is needed to load a graph that runs only once. */
export interface LoadTask {
  readonly backend: Backend;
  readonly weights: Weights;
  readonly signal?: AbortSignal | undefined;
}

/** Reads the numbers of a graph's parameter. */
export type ReadWeight = (parameter: Node) => Promise<WeightNumbers>;

/** Reads the weights of a graph and loads it with them as initializers. */
export async function loadWithWeights(
  backend: Backend,
  graph: Graph,
  weights: Weights,
  signal?: AbortSignal,
): Promise<Session> {
  return await loadReading(backend, graph, {
    read: async ({ name }) => (await weights.read(name, signal)).data,
  });
}

/** Loads a graph with its weights for as long as a task takes. */
export async function whileLoaded<T>(
  graph: Graph,
  { backend, weights, signal }: LoadTask,
  use: (session: Session) => Promise<T>,
): Promise<T> {
  const session = await loadWithWeights(backend, graph, weights, signal);
  try {
    return await use(session);
  } finally {
    await session.dispose();
  }
}

/** As {@link loadWithWeights}, with any way to read a parameter. */
export async function loadReading(
  backend: Backend,
  graph: Graph,
  { read, ...options }: LoadOptions & { readonly read: ReadWeight },
): Promise<Session> {
  const numbers = new Map<string, WeightNumbers>();
  for (const node of graph.parameters) numbers.set(node.name, await read(node));
  const model = encodeModel(graph, { weights: numbers });
  const session = await backend.load(model, options); // has its own copy now
  for (const { data } of model.externalData) discard(data); // needed nowhere else
  return session;
}

/** Names of the weights of the linear layers in a graph that is built with a lowering: all, or those that are `wanted`. */
export function loweredLayers(
  build: (lowering: LinearLowering) => unknown,
  wanted: (layer: LinearLayer) => boolean = () => true,
): ReadonlySet<string> {
  const names = new Set<string>();
  build((graph, x, layer) => {
    if (wanted(layer)) names.add(layer.weight);
    return plainLinear(graph, x, layer);
  });
  return names;
}
