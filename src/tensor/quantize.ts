/**
 * Matrices in small integers: 8 bits with a scale for each output, 4 bits with one for every 32 inputs.
 *
 * *Source:* symmetric round-to-nearest; the layouts are those of ONNX `MatMulInteger` and of
 * com.microsoft `MatMulNBits`.
 */

import { elementCount, type Tensor } from "./tensor.ts";

/** A matrix `(out, in)` in integers. */
export interface QuantizedMatrix {
  readonly bits: 8 | 4;
  /** Rows and columns of the matrix that it stands for. */
  readonly dims: readonly [out: number, input: number];
  /** 8 bits: `(in, out)`, −127 … 127. 4 bits: `(out, in / 32, 16)`, two in a byte, low first, plus 8. */
  readonly values: Int8Array | Uint8Array;
  /** 8 bits: `(out)`. 4 bits: `(out · in / 32)`. */
  readonly scales: Float32Array;
}

/** Name of the scales of a matrix in integers, beside it. */
export function scaleName(matrix: string): string {
  return `${matrix}.scale`;
}

/** Inputs that share a scale at 4 bits. */
export const BLOCK = 32;
const TILE = 64; // rows, bytes of a cache line
const ROWS = 16;

/** Rounds to 8 bits, `(out, in)` to a scale for each output; axes after the first count as one. */
export function quantizeColumns({ dims, data }: Tensor): QuantizedMatrix {
  const [out = 0, ...rest] = dims;
  const width = elementCount(rest);
  const values = new Int8Array(data.length);
  const scales = new Float32Array(out);
  for (let row = 0; row < out; row++) {
    scales[row] = largest(data.subarray(row * width, (row + 1) * width)) / 127;
  }
  inTiles(out, width, (row, column) => {
    const scale = scales[row]!;
    if (scale === 0) return;
    const value = Math.round(data[row * width + column]! / scale);
    values[column * out + row] = Math.max(-127, Math.min(127, value)); // a subnormal scale is coarse
  });
  return { bits: 8, dims: [out, width], values, scales };
}

/**
 * Rounds to 4 bits. The largest number of a block becomes −8, the one integer without a counterpart.
 *
 * @throws {RangeError} When rows are no multiple of 32 long.
 */
export function quantizeBlocks({ dims, data }: Tensor): QuantizedMatrix {
  const [out = 0, width = 0] = dims;
  if (width % BLOCK !== 0) {
    throw new RangeError(
      `Cannot quantise weights: rows must be a multiple of ${BLOCK} long: current value is ${width}`,
    );
  }
  const values = new Uint8Array(data.length / 2);
  const scales = new Float32Array(data.length / BLOCK);
  for (let block = 0; block < scales.length; block++) {
    const first = block * BLOCK;
    const scale = Math.fround(outermost(data.subarray(first, first + BLOCK)) / -8);
    scales[block] = scale;
    const nibble = (i: number): number =>
      scale === 0 ? 8 : Math.max(0, Math.min(15, Math.round(data[first + i]! / scale) + 8));
    for (let i = 0; i < BLOCK; i += 2) {
      values[(first + i) / 2] = nibble(i) | (nibble(i + 1) << 4);
    }
  }
  return { bits: 4, dims: [out, width], values, scales };
}

/** The matrix that the integers stand for, `(out, in)`. */
export function dequantize({ bits, dims: [out, width], values, scales }: QuantizedMatrix): Tensor {
  const data = new Float32Array(out * width);
  if (bits === 8) {
    // As inTiles(), written out, and with rows inside: so many columns of 16 rows are in the nearest cache at once.
    for (let first = 0; first < out; first += ROWS) {
      const end = Math.min(out, first + ROWS);
      for (let left = 0; left < width; left += TILE) {
        const right = Math.min(width, left + TILE);
        for (let row = first; row < end; row++) {
          const scale = scales[row]!;
          const to = row * width;
          for (let column = left; column < right; column++) {
            data[to + column] = values[column * out + row]! * scale;
          }
        }
      }
    }
  } else {
    for (let i = 0; i < data.length; i++) {
      const nibble = (values[i >> 1]! >> (4 * (i & 1))) & 15;
      data[i] = (nibble - 8) * scales[Math.floor(i / BLOCK)]!;
    }
  }
  return { dims: [out, width], data };
}

/**
 * What rounding adds to a layer's result, relative to it, for uncorrelated inputs that all have the same share
 * in it: the root of the mean over inputs of ‖w − ŵ‖² ÷ ‖w‖², w an input's weights. If inputs were weighted
 * by size, one very large one would hide that all others were lost.
 */
export function roundingError({ data }: Tensor, matrix: QuantizedMatrix): number {
  const [, width] = matrix.dims;
  const rounded = dequantize(matrix).data;
  const difference = new Float64Array(width);
  const total = new Float64Array(width);
  for (let i = 0; i < data.length; i++) {
    const input = i % width;
    difference[input]! += (data[i]! - rounded[i]!) ** 2;
    total[input]! += data[i]! ** 2;
  }
  const shares = difference.map((square, input) => square === 0 ? 0 : square / total[input]!);
  return Math.sqrt(shares.reduce((sum, share) => sum + share, 0) / Math.max(1, width));
}

/** Every element of a matrix, some rows together: of both layouts whole cache lines are used. */
function inTiles(out: number, width: number, visit: (row: number, column: number) => void): void {
  for (let first = 0; first < out; first += TILE) {
    const end = Math.min(out, first + TILE);
    for (let column = 0; column < width; column++) {
      for (let row = first; row < end; row++) visit(row, column);
    }
  }
}

function largest(numbers: Float32Array): number {
  return Math.abs(outermost(numbers));
}

/** The number of largest magnitude, with its sign. */
function outermost(numbers: Float32Array): number {
  let found = 0;
  for (const number of numbers) if (Math.abs(number) > Math.abs(found)) found = number;
  return found;
}
