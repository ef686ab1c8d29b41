/**
 * Weights under other names: a tensor may be parts of stored ones, one below the other.
 */

import type { Weights } from "../assets/weights.ts";
import { discard, elementCount } from "../tensor/tensor.ts";

/** Where numbers of a tensor lie. Rows and columns are those of a matrix; a vector has rows only. */
export interface TensorPart {
  /** Name of the stored tensor. */
  readonly source: string;
  /** Its rows; absent = all. */
  readonly rows?: readonly [first: number, count: number];
  /** Its columns; absent = all. */
  readonly columns?: readonly [first: number, count: number];
}

/** The parts that tensors are made of, by name. */
export type TensorViews = ReadonlyMap<string, readonly TensorPart[]>;

/** Weights with exactly the tensors of `views`; every source must be there. */
export function viewWeights(weights: Weights, views: TensorViews): Weights {
  const viewOf = (name: string): readonly View[] =>
    (views.get(name) ?? [{ source: name }]).map((part) => ({
      ...part,
      stored: weights.dims(part.source) ?? [],
    }));
  return {
    names: new Set(views.keys()),
    dims: (name) => views.has(name) ? wholeDims(viewOf(name)) : undefined,
    sample: (name, indices) => sample(weights, viewOf(name), indices),
    read: async (name, signal) => {
      const parts = viewOf(name);
      const [{ source, rows, columns } = { source: name }] = parts;
      const isWhole = parts.length === 1 && rows === undefined && columns === undefined;
      if (isWhole) return await weights.read(source, signal);
      const dims = wholeDims(parts);
      const data = new Float32Array(elementCount(dims));
      let end = 0;
      for (const part of parts) {
        const [, ...width] = partDims(part);
        const { data: stored } = await weights.read(part.source, signal);
        const [count, row] = [elementCount(partDims(part)), elementCount(width)];
        for (let at = 0; at < count; at += row, end += row) {
          const from = indexIn(part, at);
          data.set(stored.subarray(from, from + row), end);
        }
        discard(stored);
      }
      return { dims, data };
    },
  };
}

/** A part with the shape of the tensor that it is of. */
interface View extends TensorPart {
  readonly stored: readonly number[];
}

function partDims({ stored: [height = 0, ...rest], rows, columns }: View): readonly number[] {
  return [rows?.[1] ?? height, ...(columns === undefined ? rest : [columns[1]])];
}

/** Shape of the whole; of a part where parts do not fit each other, so that checks tell it. */
function wholeDims(parts: readonly View[]): readonly number[] {
  const shapes = parts.map(partDims);
  const [, ...width] = shapes[0]!; // a tensor has a part
  const odd = shapes.find(([, ...rest]) => `${rest}` !== `${width}`);
  return odd ?? [shapes.reduce((sum, [rows = 0]) => sum + rows, 0), ...width];
}

/** Where a number of a part lies in the stored tensor; what is beyond the part lies beyond the tensor. */
function indexIn(part: View, at: number): number {
  const [count, ...width] = partDims(part);
  const row = Math.floor(at / elementCount(width));
  if (row >= count!) return Infinity;
  const column = (part.columns?.[0] ?? 0) + at % elementCount(width);
  return ((part.rows?.[0] ?? 0) + row) * elementCount(part.stored.slice(1)) + column;
}

/** Each index from the part that it falls into; beyond the last one the reader refuses it. */
async function sample(
  weights: Weights,
  parts: readonly View[],
  indices: readonly number[],
): Promise<Float32Array> {
  const values = new Float32Array(indices.length);
  let first = 0;
  for (const [i, part] of parts.entries()) {
    const end = i === parts.length - 1 ? Infinity : first + elementCount(partDims(part));
    const places = [...indices.keys()].filter((k) => indices[k]! >= first && indices[k]! < end);
    const wanted = places.map((k) => indexIn(part, indices[k]! - first));
    const found = await weights.sample(part.source, wanted);
    places.forEach((k, n) => values[k] = found[n]!);
    first = end;
  }
  return values;
}
