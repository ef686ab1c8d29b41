/**
 * Peak signal-to-noise ratio of latents or pictures to a reference.
 */

import type { Tensor } from "../tensor/tensor.ts";

/** Equal pictures would give infinity; they give this many dB, so that a mean stays a number. */
const EQUAL_DB = 100;

/**
 * PSNR in dB of each row of `(n, …)`; the peak is the range (largest − smallest) of its reference.
 *
 * @throws {RangeError} When the shapes differ.
 */
export function psnr(tensor: Tensor, reference: Tensor): number[] {
  if (`${tensor.dims}` !== `${reference.dims}`) {
    throw new RangeError(
      `Cannot compare: shape must be [${reference.dims}]: current value is [${tensor.dims}]`,
    );
  }
  const [rows = 0] = reference.dims;
  const size = reference.data.length / rows;
  return Array.from({ length: rows }, (_, row) => {
    const part = (data: Float32Array): Float32Array => data.subarray(row * size, (row + 1) * size);
    return psnrOf(part(tensor.data), part(reference.data));
  });
}

/** Mean over rows of {@link psnr}. */
export function meanPsnr(tensor: Tensor, reference: Tensor): number {
  const values = psnr(tensor, reference);
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function psnrOf(numbers: Float32Array, reference: Float32Array): number {
  let squares = 0;
  let least = Infinity;
  let most = -Infinity;
  for (let i = 0; i < reference.length; i++) {
    const wanted = reference[i]!; // i is within both
    squares += (numbers[i]! - wanted) ** 2;
    least = Math.min(least, wanted);
    most = Math.max(most, wanted);
  }
  if (squares === 0) return EQUAL_DB;
  return Math.min(EQUAL_DB, 10 * Math.log10((most - least) ** 2 / (squares / reference.length)));
}
