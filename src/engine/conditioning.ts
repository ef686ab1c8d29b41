/**
 * Conditioning of a whole run, computed before the first step.
 *
 * All times and labels of a run are known in advance, so the modulation of every module is computed for
 * all of them in a few batched passes instead of once per step. It is exact, and afterwards no session
 * holds those weights: in DiT they are a third of the model.
 */

import type { Session } from "../backend/backend.ts";
import type { Condition, Conditioning, ModulationGroup } from "../model/module_graph.ts";
import { GraphBuilder } from "../onnx/graph.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { runOnHost, type Tensors } from "./device_values.ts";
import { type LoadTask, whileLoaded } from "./load_graph.ts";

/** Results of one pass stay below this. */
export const CONDITIONING_PASS_BYTES = 64 << 20;

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
}

/** Computes the modulation of every distinct condition; its sessions are gone when it returns. */
export async function computeConditioning(
  conditions: Iterable<Condition>,
  task: ConditioningTask,
): Promise<ConditioningTable> {
  const distinct = [...new Map([...conditions].map((c) => [keyOf(c), c])).values()];
  const embedded = await embed(distinct, task);
  const vectors = new Map<string, Float32Array>();
  for (const group of task.conditioning.groups) await modulate(group, embedded, vectors, task);
  return new ConditioningTable(distinct, vectors, task.conditioning.width);
}

/** Time and label to conditioning vectors `(R, D)`. */
async function embed(conditions: readonly Condition[], task: ConditioningTask): Promise<Tensor> {
  const { conditioning } = task;
  const { timeWidth, vectorWidth } = conditioning;
  const times = new Float32Array(conditions.length * timeWidth);
  conditions.forEach(({ time }, row) =>
    times.set(conditioning.timeFeatures(time), row * timeWidth)
  );
  const labels = labelRows(conditions, vectorWidth);
  const graph = new GraphBuilder("conditioning");
  graph.output(
    "vectors",
    conditioning.embed(
      graph,
      graph.input("times", ["R", timeWidth]),
      graph.input("labels", ["R", ...labels.dims.slice(1)]),
    ),
  );
  const inputs = { times: { dims: [conditions.length, timeWidth], data: times }, labels };
  return await whileLoaded(graph, task, (session) => vectorsOf(session, task, inputs));
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
  const [count = 0] = embedded.dims;
  const total = group.parts.reduce((sum, { rows }) => sum + rows, 0);
  for (const { name, rows } of group.parts) {
    vectors.set(name, new Float32Array(count * rows * width));
  }
  const graph = new GraphBuilder(`modulation of ${group.parts[0]?.name}`);
  graph.output("vectors", group.build(graph, graph.input("conditioning", ["R", width])));
  const perPass = Math.max(1, Math.floor(CONDITIONING_PASS_BYTES / (total * width * 4)));
  await whileLoaded(graph, task, async (session) => {
    for (let first = 0; first < count; first += perPass) {
      const rows = embedded.data.subarray(first * width, (first + perPass) * width);
      const conditioning = { dims: [rows.length / width, width], data: rows };
      scatter(await vectorsOf(session, task, { conditioning }), group, first, vectors);
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

async function vectorsOf(
  session: Session,
  { backend, signal }: ConditioningTask,
  inputs: Tensors,
): Promise<Tensor> {
  signal?.throwIfAborted();
  const results = await runOnHost(backend, inputs, (values) => session.run(values, ["vectors"]));
  return results["vectors"]!; // the graph's only output
}

function keyOf({ time, label, scale = 1 }: Condition): string {
  return `${time} ${label} ${scale}`;
}
