/**
 * PNG row filters: each row is stored as differences that compress better than its pixels.
 */

import type { Picture } from "./picture.ts";

/**
 * Filters every row with the one of PNG's five filters whose differences have the least absolute sum.
 * The result has, per row, the filter's number and the differences.
 *
 * *Source:* PNG Specification, Third Edition, §9.2 and the heuristic of §12.7.
 */
export function filterRows({ width, height, channels, pixels }: Picture): Uint8Array<ArrayBuffer> {
  const rowBytes = width * channels;
  const filtered = new Uint8Array(height * (rowBytes + 1));
  let candidate = new Uint8Array(rowBytes + 1);
  let best = new Uint8Array(rowBytes + 1);
  let above: Uint8Array = new Uint8Array(rowBytes);
  for (let y = 0; y < height; y++) {
    const row = pixels.subarray(y * rowBytes, (y + 1) * rowBytes);
    let least = Infinity;
    for (let filter = 0; filter < 5 && least > 0; filter++) {
      const cost = filterRow(candidate, filter, { row, above, step: channels, most: least });
      if (cost >= least) continue;
      [best, candidate] = [candidate, best];
      least = cost;
    }
    filtered.set(best, y * (rowBytes + 1));
    above = row;
  }
  return filtered;
}

interface Rows {
  readonly row: Uint8Array;
  readonly above: Uint8Array;
  readonly step: number;
  /** A sum from which on the result is of no use. */
  readonly most: number;
}

/** Filters a row; returns the sum of the differences as signed bytes. The filter's number is not among them. */
function filterRow(
  out: Uint8Array,
  filter: number,
  { row, above, step, most }: Rows,
): number {
  out[0] = filter;
  let sum = 0;
  for (let i = 0; i < row.length && sum < most; i++) {
    const a = i < step ? 0 : row[i - step]!; // left
    const b = above[i]!;
    const c = i < step ? 0 : above[i - step]!; // left of above
    const difference = row[i]! - predict(filter, a, b, c);
    out[i + 1] = difference; // kept modulo 256 by the array
    sum += Math.abs((difference << 24) >> 24);
  }
  return sum;
}

/** What a filter foresees of a byte, from those to the left, above, and to the left of that. */
export function predict(filter: number, a: number, b: number, c: number): number {
  switch (filter) {
    case 1:
      return a;
    case 2:
      return b;
    case 3:
      return (a + b) >> 1;
    case 4:
      return paeth(a, b, c);
    default:
      return 0;
  }
}

function paeth(a: number, b: number, c: number): number {
  const toA = Math.abs(b - c);
  const toB = Math.abs(a - c);
  const toC = Math.abs(a + b - 2 * c);
  if (toA <= toB && toA <= toC) return a;
  return toB <= toC ? b : c;
}
