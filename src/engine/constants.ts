/**
 * What a run uploads or computes once and every graph of it may read: text features, rotations.
 *
 * @module
 */

import type { Weights } from "../assets/weights.ts";
import type { Backend } from "../backend/backend.ts";
import type { Preparation } from "../model/module_graph.ts";
import { GraphBuilder } from "../onnx/graph.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { loadWithWeights } from "./load_graph.ts";
import { takeDown, type Values, whileAlive } from "./device_values.ts";

/** What constants are made with. */
export interface ConstantsTask {
  /** Where graphs run. */
  readonly backend: Backend;
  /** What is computed; absent = nothing. */
  readonly preparation?: Preparation | undefined;
  /** Its weights. */
  readonly weights: Weights;
  /** Stops before the graph. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Uploads inputs, and what the preparation makes of those that are its; the caller disposes of the result.
 * The session of the preparation is gone when this returns.
 */
export async function makeConstants(
  inputs: Readonly<Record<string, Tensor>>,
  task: ConstantsTask,
): Promise<Values> {
  const { backend, preparation } = task;
  task.signal?.throwIfAborted();
  const consumed = preparation?.inputs.map(({ name }) => name) ?? [];
  const part = (wanted: boolean): Readonly<Record<string, Tensor>> =>
    Object.fromEntries(
      Object.entries(inputs).filter(([name]) => consumed.includes(name) === wanted),
    );
  const prepared = preparation === undefined ? {} : await prepare(preparation, part(true), task);
  return uploadAll(backend, { ...part(false), ...prepared });
}

/** Results come back to the host: on WebGPU a value must not outlive the session that made it. */
async function prepare(
  preparation: Preparation,
  given: Readonly<Record<string, Tensor>>,
  { backend, weights, signal }: ConstantsTask,
): Promise<Readonly<Record<string, Tensor>>> {
  const graph = new GraphBuilder("preparation");
  const inputs = preparation.inputs.map(({ name, dims }) =>
    [name, graph.input(name, dims)] as const
  );
  const nodes = preparation.build(graph, Object.fromEntries(inputs));
  for (const [name, node] of Object.entries(nodes)) graph.output(name, node);
  const session = await loadWithWeights(backend, graph, weights, signal);
  try {
    const uploaded = uploadAll(backend, given);
    const results = await whileAlive(uploaded, () => session.run(uploaded, Object.keys(nodes)));
    const tensors: Record<string, Tensor> = {};
    for (const [name, value] of Object.entries(results)) {
      tensors[name] = await takeDown(backend, value);
    }
    return tensors;
  } finally {
    await session.dispose();
  }
}

function uploadAll(backend: Backend, tensors: Readonly<Record<string, Tensor>>): Values {
  return Object.fromEntries(
    Object.entries(tensors).map(([name, tensor]) => [name, backend.upload(tensor)]),
  );
}
