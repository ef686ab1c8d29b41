/**
 * What a run uploads or computes once and every graph of it may read: text features, rotations.
 */

import type { Preparation } from "../model/module_graph.ts";
import { GraphBuilder } from "../onnx/graph.ts";
import type { LoadTask } from "./load_graph.ts";
import { type Sessions, whileRunnable } from "./sessions.ts";
import { runOnHost, type Tensors, uploadAll, type Values } from "./device_values.ts";

export interface ConstantsTask extends LoadTask {
  /** What is computed; absent = nothing. */
  readonly preparation?: Preparation | undefined;
  /** Keeps the session of the preparation; absent = it is gone when this returns. */
  readonly sessions?: Sessions | undefined;
}

/**
 * Uploads inputs, and what the preparation makes of those that are its; the caller disposes of the result.
 */
export async function makeConstants(
  inputs: Tensors,
  task: ConstantsTask,
): Promise<Values> {
  const { backend, preparation } = task;
  task.signal?.throwIfAborted();
  const consumed = preparation?.inputs.map(({ name }) => name) ?? [];
  const part = (wanted: boolean): Tensors =>
    Object.fromEntries(
      Object.entries(inputs).filter(([name]) => consumed.includes(name) === wanted),
    );
  const prepared = preparation === undefined ? {} : await prepare(preparation, part(true), task);
  return uploadAll(backend, { ...part(false), ...prepared });
}

/** Results come back to the host: on WebGPU a value must not outlive the session that made it. */
async function prepare(
  preparation: Preparation,
  given: Tensors,
  task: ConstantsTask,
): Promise<Tensors> {
  const graph = new GraphBuilder("preparation");
  const inputs = preparation.inputs.map(({ name, dims }) =>
    [name, graph.input(name, dims)] as const
  );
  const nodes = preparation.build(graph, Object.fromEntries(inputs));
  for (const [name, node] of Object.entries(nodes)) graph.output(name, node);
  return await whileRunnable(
    { key: graph.name, build: () => graph },
    task,
    (run) => runOnHost(task.backend, given, (values) => run(values, preparation.outputs)),
  );
}
