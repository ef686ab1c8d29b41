/**
 * What policies look at before they decide, brought to the host: a few rows of numbers at each step.
 */

import { modulationOf } from "../../model/module_graph.ts";
import { readModuleName } from "../../plan/module_name.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { Values } from "../device_values.ts";
import type { Executor } from "../executor.ts";
import { stateStreams } from "../segment/segment.ts";
import type { StepInputs } from "../step_inputs.ts";

/** What the first block adds to its stream, or what its first module is given: normalised and modulated. */
export type GraphSignal = "first-block" | "first-input";

/** What a policy looks at: numbers of a step's first graphs, or the latent, before any of them runs. */
export type Signal = GraphSignal | "latent";

/** Modules by name, in order. */
export interface NamedModules {
  readonly modules: readonly { readonly name: string }[];
}

/** How many modules run before a signal is there. */
export function frontOf(signal: GraphSignal, { modules }: NamedModules): number {
  if (signal === "first-input") return 0;
  const { block } = readModuleName(modules[0]!.name); // a model has modules
  const others = modules.findIndex(({ name }) => readModuleName(name).block !== block);
  return others < 0 ? modules.length : others;
}

/** The numbers of a step: a row for each of its batch, `(N, T, D)`. */
export async function readSignal(
  signal: GraphSignal,
  { begun, embedded }: { readonly begun: Values; readonly embedded: Values },
  { executor: { backend, transformer }, inputs }: {
    readonly executor: Executor;
    readonly inputs: Pick<StepInputs, "table" | "batch">;
  },
): Promise<Tensor> {
  const { name } = stateStreams(transformer)[0]!; // the head reads one
  const before = await backend.download(embedded[name]!);
  if (signal === "first-block") {
    const after = await backend.download(begun[name]!);
    const { dims, data } = before;
    return { dims, data: after.data.map((value, i) => value - data[i]!) }; // of one shape
  }
  const [part] = modulationOf(transformer.modules[0]!);
  const vectors = inputs.table.gather([part!], inputs.batch); // a first module has one
  return { dims: before.dims, data: modulatedNorm(before, vectors) };
}

/** Of LayerNorm in both families. */
const NORM_EPSILON = 1e-6;

/** By token: LayerNorm, times 1 + the second vector, plus the first. */
export function modulatedNorm(
  { dims: [rows = 0, tokens = 0, width = 0], data }: Tensor,
  { dims: [, vectors = 0], data: vector }: Tensor,
): Float32Array {
  const result = new Float32Array(data.length);
  for (let token = 0; token < rows * tokens; token++) {
    const x = data.subarray(token * width, (token + 1) * width);
    const mean = x.reduce((sum, value) => sum + value, 0) / width;
    const variance = x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / width;
    const scale = 1 / Math.sqrt(variance + NORM_EPSILON);
    const shifts = Math.floor(token / tokens) * vectors * width;
    for (let i = 0; i < width; i++) {
      const shift = vector[shifts + i]!; // rows as in the batch
      result[token * width + i] = (x[i]! - mean) * scale * (1 + vector[shifts + width + i]!) +
        shift;
    }
  }
  return result;
}

/** Mean |now − before| ÷ mean |before|; 0 where nothing has changed. */
export function relativeChange(now: Float32Array, before: Float32Array): number {
  let [change, size] = [0, 0];
  for (let i = 0; i < now.length; i++) {
    change += Math.abs(now[i]! - before[i]!); // of one shape
    size += Math.abs(before[i]!);
  }
  return change === 0 ? 0 : change / size;
}
