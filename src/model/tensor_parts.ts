/**
 * Weights under other names: a tensor may be some rows and columns of a stored one.
 *
 * @module
 */

import type { Weights } from "../assets/weights.ts";
import { discard, elementCount, type Tensor } from "../tensor/tensor.ts";

/** Where a tensor's numbers lie. Rows and columns are those of a matrix; a vector has rows only. */
export interface TensorPart {
  /** Name of the stored tensor. */
  readonly source: string;
  /** Its rows, first and count of each run, one behind the other; absent = all. */
  readonly rows?: readonly (readonly [first: number, count: number])[];
  /** Its columns; absent = all. */
  readonly columns?: readonly [first: number, count: number];
}

/** Weights with exactly the tensors of `parts`; every source must be there. */
export function partWeights(weights: Weights, parts: ReadonlyMap<string, TensorPart>): Weights {
  const partOf = (name: string): TensorPart => parts.get(name) ?? { source: name };
  const dimsOf = (name: string): readonly number[] | undefined => {
    const part = parts.get(name);
    const stored = part && weights.dims(part.source);
    return stored && partDims(part, stored);
  };
  return {
    names: new Set(parts.keys()),
    dims: dimsOf,
    sample: (name, indices) => {
      const part = partOf(name);
      const stored = weights.dims(part.source) ?? [];
      return weights.sample(part.source, indices.map((index) => sourceIndex(part, stored, index)));
    },
    read: async (name, signal) => {
      const part = partOf(name);
      return takePart(part, await weights.read(part.source, signal));
    },
  };
}

function partDims({ rows, columns }: TensorPart, stored: readonly number[]): readonly number[] {
  const [height = 0, ...rest] = stored;
  const count = rows?.reduce((sum, [, count]) => sum + count, 0) ?? height;
  return columns === undefined ? [count, ...rest] : [count, columns[1]];
}

function takePart(part: TensorPart, stored: Tensor): Tensor {
  if (part.rows === undefined && part.columns === undefined) return stored;
  const dims = partDims(part, stored.dims);
  const width = dims[1] ?? 1;
  const data = new Float32Array(elementCount(dims));
  for (let row = 0; row < dims[0]!; row++) { // matrices and vectors
    const from = sourceIndex(part, stored.dims, row * width);
    data.set(stored.data.subarray(from, from + width), row * width);
  }
  discard(stored.data);
  return { dims, data };
}

/** Flat index in the stored tensor of an element of the part. */
function sourceIndex(
  { rows, columns }: TensorPart,
  [height = 0, storedWidth = 1]: readonly number[],
  index: number,
): number {
  const [firstColumn, width] = columns ?? [0, storedWidth];
  let row = Math.floor(index / width);
  for (const [first, count] of rows ?? [[0, height]]) {
    if (row < count) return (first + row) * storedWidth + firstColumn + index % width;
    row -= count;
  }
  return Infinity; // no such element: refused by the reader
}
