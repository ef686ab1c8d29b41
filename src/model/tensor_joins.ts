/**
 * Weights in which a tensor may be several stored ones, one below the other.
 *
 * @module
 */

import type { Weights } from "../assets/weights.ts";
import { joinRows } from "../tensor/rows.ts";
import { discard, type Tensor } from "../tensor/tensor.ts";

/** Weights with exactly the tensors of `joins`; every stored tensor must be there, and of one width. */
export function joinWeights(
  weights: Weights,
  joins: ReadonlyMap<string, readonly string[]>,
): Weights {
  const sourcesOf = (name: string): readonly string[] => joins.get(name) ?? [name];
  const stored = (name: string): readonly number[] => weights.dims(name) ?? [];
  const dimsOf = (name: string): readonly number[] => {
    const sources = sourcesOf(name);
    const rows = sources.reduce((sum, source) => sum + (stored(source)[0] ?? 0), 0);
    return [rows, ...stored(sources[0]!).slice(1)]; // every tensor has a source
  };
  return {
    names: new Set(joins.keys()),
    dims: (name) => joins.has(name) ? dimsOf(name) : undefined,
    sample: async (name, indices) => await sampleJoined(weights, sourcesOf(name), indices),
    read: async (name, signal) => {
      const parts: Tensor[] = [];
      for (const source of sourcesOf(name)) parts.push(await weights.read(source, signal));
      if (parts.length === 1) return parts[0]!; // the only one
      const whole = joinRows(parts);
      for (const { data } of parts) discard(data);
      return whole;
    },
  };
}

/** Each index from the tensor that it falls into; beyond the last one the reader refuses it. */
async function sampleJoined(
  weights: Weights,
  sources: readonly string[],
  indices: readonly number[],
): Promise<Float32Array> {
  const sizes = sources.map((source) => (weights.dims(source) ?? []).reduce((a, b) => a * b, 1));
  const values = new Float32Array(indices.length);
  let first = 0;
  for (const [i, source] of sources.entries()) {
    const end = i === sources.length - 1 ? Infinity : first + sizes[i]!; // one for each
    const places = indices.keys().filter((at) => indices[at]! >= first && indices[at]! < end);
    const wanted = [...places];
    const found = await weights.sample(source, wanted.map((at) => indices[at]! - first));
    wanted.forEach((at, k) => values[at] = found[k]!);
    first = end;
  }
  return values;
}
