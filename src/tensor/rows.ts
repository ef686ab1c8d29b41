/**
 * Rows of a batch: the first dimension of a tensor.
 */

import { elementCount, type Tensor } from "./tensor.ts";

/** A copy of rows `first … first + count - 1`; all of them must be there. */
export function sliceRows(
  { dims: [, ...rest], data }: Tensor,
  first: number,
  count: number,
): Tensor {
  const size = elementCount(rest);
  return { dims: [count, ...rest], data: data.slice(first * size, (first + count) * size) };
}

/** Joins tensors along the first dimension; all other dimensions must agree. */
export function joinRows(tensors: readonly Tensor[]): Tensor {
  const [, ...rest] = tensors[0]?.dims ?? [];
  const data = new Float32Array(tensors.reduce((sum, { data }) => sum + data.length, 0));
  let at = 0;
  for (const part of tensors) {
    data.set(part.data, at);
    at += part.data.length;
  }
  return { dims: [tensors.reduce((sum, { dims: [n = 0] }) => sum + n, 0), ...rest], data };
}

/** A copy of some rows, in the order in which they are named; all of them must be there. */
export function pickRows({ dims: [, ...rest], data }: Tensor, rows: readonly number[]): Tensor {
  const size = elementCount(rest);
  const picked = new Float32Array(rows.length * size);
  rows.forEach((row, i) => picked.set(data.subarray(row * size, (row + 1) * size), i * size));
  return { dims: [rows.length, ...rest], data: picked };
}

/** A copy in which the rows that are named are another tensor's, in the order of the names. */
export function placeRows(
  { dims, data }: Tensor,
  rows: readonly number[],
  { data: placed }: Tensor,
): Tensor {
  const [, ...rest] = dims;
  const size = elementCount(rest);
  const whole = data.slice();
  rows.forEach((row, i) => whole.set(placed.subarray(i * size, (i + 1) * size), row * size));
  return { dims, data: whole };
}
