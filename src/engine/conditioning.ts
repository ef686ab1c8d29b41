/**
 * Conditioning of a whole run, computed before the first step.
 *
 * All times and labels of a run are known in advance, so the modulation of every module is computed for
 * all of them in a few batched passes instead of once per step. It is exact. Where its sessions are small
 * they stay for the next run; else none holds those weights afterwards, which in DiT are a third of the model.
 */

import { runtimeName } from "../backend/platform.ts";
import type { Condition, Conditioning, ModulationGroup } from "../model/module_graph.ts";
import { GraphBuilder, type Node } from "../onnx/graph.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { runOnHost, type Tensors } from "./device_values.ts";
import type { GraphRecipe, LoadTask } from "./load_graph.ts";
import { type RunGraph, type Sessions, whileRunnable } from "./sessions.ts";

/** Results of one pass stay below this. */
export const CONDITIONING_PASS_BYTES = 64 << 20;

/** Weights of a conditioning whose sessions stay loaded: loading them takes as long as a step, which short plans feel. */
const KEPT_BYTES = 256 << 20;

/** Whether the sessions of a conditioning stay loaded; on workerd, where 128 MB are all that there is, none does. */
export function staysLoaded({ groups }: Conditioning): boolean {
  return runtimeName() !== "workerd" &&
    groups.reduce((sum, { weightBytes }) => sum + weightBytes, 0) <= KEPT_BYTES;
}

/** Modulation vectors for every (time, label) of a run. */
export class ConditioningTable {
  readonly #rowOf: ReadonlyMap<string, number>;
  readonly #vectors: ReadonlyMap<string, Float32Array>;

  /** Made by {@link computeConditioning}. */
  constructor(
    conditions: readonly Condition[],
    /** By part: `(conditions, rows, D)`. */
    vectors: ReadonlyMap<string, Float32Array>,
    /** Width D of a vector. */
    readonly width: number,
  ) {
    this.#rowOf = new Map(conditions.map((condition, row) => [keyOf(condition), row]));
    this.#vectors = vectors;
  }

  get byteLength(): number {
    return [...this.#vectors.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
  }

  /** The vectors of some parts for a batch, `(N, sum of rows, D)`. */
  gather(parts: ModulationGroup["parts"], batch: readonly Condition[]): Tensor {
    const total = parts.reduce((sum, { rows }) => sum + rows, 0);
    const data = new Float32Array(batch.length * total * this.width);
    let at = 0;
    for (const condition of batch) {
      for (const { name, rows } of parts) {
        const size = rows * this.width;
        data.set(this.#row(name, condition, size), at);
        at += size;
      }
    }
    return { dims: [batch.length, total, this.width], data };
  }

  /** One vector of a part, `(D)`. */
  vector(part: string, row: number, condition: Condition): Float32Array {
    const rows = this.#vectors.get(part)?.length ?? 0;
    const size = rows / this.#rowOf.size;
    return this.#row(part, condition, size).subarray(row * this.width, (row + 1) * this.width);
  }

  #row(name: string, condition: Condition, size: number): Float32Array {
    const row = this.#rowOf.get(keyOf(condition));
    const vectors = this.#vectors.get(name);
    if (row === undefined || vectors === undefined) {
      throw new RangeError(
        `Cannot condition ${name}: time ${condition.time}, label ${condition.label} must be in the table`,
      );
    }
    return vectors.subarray(row * size, (row + 1) * size);
  }
}

/** What conditioning is computed with; weights are read group by group. */
export interface ConditioningTask extends LoadTask {
  readonly conditioning: Conditioning;
  /** Keeps its sessions where they are small; absent = they are gone when it returns. */
  readonly sessions?: Sessions | undefined;
}

/** Computes the modulation of every distinct condition. */
export async function computeConditioning(
  conditions: Iterable<Condition>,
  { sessions, ...rest }: ConditioningTask,
): Promise<ConditioningTable> {
  const task = { ...rest, sessions: staysLoaded(rest.conditioning) ? sessions : undefined };
  const distinct = [...new Map([...conditions].map((c) => [keyOf(c), c])).values()];
  const embedded = await embed(distinct, task);
  const vectors = new Map<string, Float32Array>();
  for (const group of task.conditioning.groups) await modulate(group, embedded, vectors, task);
  return new ConditioningTable(distinct, vectors, task.conditioning.width);
}

/** Time and label to conditioning vectors, one for each condition. */
async function embed(conditions: readonly Condition[], task: ConditioningTask): Promise<Tensor> {
  const { conditioning } = task;
  const { timeWidth, vectorWidth } = conditioning;
  const times = new Float32Array(conditions.length * timeWidth);
  conditions.forEach((condition, row) =>
    times.set(conditioning.timeFeatures(condition), row * timeWidth)
  );
  const labels = labelRows(conditions, vectorWidth);
  const recipe = recipeOf("conditioning", (graph) =>
    conditioning.embed(
      graph,
      graph.input("times", ["R", timeWidth]),
      graph.input("labels", ["R", ...labels.dims.slice(1)]),
    ));
  const inputs = { times: { dims: [conditions.length, timeWidth], data: times }, labels };
  return await whileRunnable(recipe, task, (run) => vectorsOf(run, inputs, task));
}

/** Labels `(R)`, or the vectors that stand for them `(R, width)`. */
function labelRows(conditions: readonly Condition[], width: number | undefined): Tensor {
  const count = conditions.length;
  if (width === undefined) {
    return { dims: [count], data: Float32Array.from(conditions, ({ label }) => label) };
  }
  const data = new Float32Array(count * width);
  conditions.forEach(({ vector }, row) => data.set(vector!, row * width)); // as the model makes them
  return { dims: [count, width], data };
}

/** Adds the vectors of one group of modules to the table. */
async function modulate(
  group: ModulationGroup,
  embedded: Tensor,
  vectors: Map<string, Float32Array>,
  task: ConditioningTask,
): Promise<void> {
  const { width } = task.conditioning;
  const [count = 0, given = 0] = embedded.dims;
  const total = group.parts.reduce((sum, { rows }) => sum + rows, 0);
  for (const { name, rows } of group.parts) {
    vectors.set(name, new Float32Array(count * rows * width));
  }
  const recipe = recipeOf(
    `modulation of ${group.parts[0]?.name}`,
    (graph) => group.build(graph, graph.input("conditioning", ["R", given])),
  );
  const perPass = Math.max(1, Math.floor(CONDITIONING_PASS_BYTES / (total * width * 4)));
  await whileRunnable(recipe, task, async (run) => {
    for (let first = 0; first < count; first += perPass) {
      const rows = embedded.data.subarray(first * given, (first + perPass) * given);
      const conditioning = { dims: [rows.length / given, given], data: rows };
      scatter(await vectorsOf(run, { conditioning }, task), group, first, vectors);
    }
  });
}

/** Copies `(pass, sum of rows, D)` into the table of each part. */
function scatter(
  pass: Tensor,
  group: ModulationGroup,
  first: number,
  vectors: ReadonlyMap<string, Float32Array>,
): void {
  const [count = 0, , width = 0] = pass.dims;
  let at = 0;
  for (let row = first; row < first + count; row++) {
    for (const { name, rows } of group.parts) {
      const size = rows * width;
      vectors.get(name)?.set(pass.data.subarray(at, at + size), row * size);
      at += size;
    }
  }
}

/** A graph of the conditioning, which makes vectors. */
function recipeOf(key: string, vectors: (graph: GraphBuilder) => Node): GraphRecipe {
  return {
    key,
    build(): GraphBuilder {
      const graph = new GraphBuilder(key);
      graph.output(VECTORS, vectors(graph));
      return graph;
    },
  };
}

const VECTORS = "vectors";

async function vectorsOf(
  run: RunGraph,
  inputs: Tensors,
  { backend, signal }: ConditioningTask,
): Promise<Tensor> {
  signal?.throwIfAborted();
  const results = await runOnHost(backend, inputs, (values) => run(values, [VECTORS]));
  return results[VECTORS]!; // the graph's only output
}

function keyOf({ time, label, scale = 1, length = 0, left = 0 }: Condition): string {
  return `${time} ${label} ${scale} ${length} ${left}`;
}
