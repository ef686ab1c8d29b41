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
  const candidate = new Uint8Array(rowBytes + 1);
  let above = new Uint8Array(rowBytes);
  for (let y = 0; y < height; y++) {
    const row = pixels.slice(y * rowBytes, (y + 1) * rowBytes);
    const out = filtered.subarray(y * (rowBytes + 1), (y + 1) * (rowBytes + 1));
    let least = Infinity;
    for (let filter = 0; filter < 5 && least > 0; filter++) {
      filterRow(candidate, filter, { row, above, step: channels });
      const cost = absoluteSum(candidate);
      if (cost < least) out.set(candidate);
      least = Math.min(least, cost);
    }
    above = row;
  }
  return filtered;
}

interface Rows {
  readonly row: Uint8Array;
  readonly above: Uint8Array;
  readonly step: number;
}

function filterRow(out: Uint8Array, filter: number, { row, above, step }: Rows): void {
  out[0] = filter;
  for (let i = 0; i < row.length; i++) {
    const a = i < step ? 0 : row[i - step]!; // left
    const b = above[i]!;
    const c = i < step ? 0 : above[i - step]!; // left of above
    out[i + 1] = row[i]! - predict(filter, a, b, c); // kept modulo 256 by the array
  }
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

/** Sum of the differences as signed bytes; the filter's number is left out. */
function absoluteSum(candidate: Uint8Array): number {
  let sum = 0;
  for (let i = 1; i < candidate.length; i++) sum += Math.abs((candidate[i]! << 24) >> 24);
  return sum;
}
