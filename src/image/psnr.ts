/**
 * Peak signal-to-noise ratio of pictures to a reference; and of latents.
 */

import type { Tensor } from "../tensor/tensor.ts";

/** Equal pictures would give infinity; they give this many dB, so that a mean stays a number. */
const EQUAL_DB = 100;
/** From black, −1, to white, 1. */
const PICTURE_RANGE = 2;

/**
 * PSNR in dB of each of `(n, …)` pictures. What is beyond black and white looks black and white, so numbers are
 * clamped to [−1, 1]; the peak is the whole range, 2.
 *
 * @throws {RangeError} When the shapes differ.
 */
export function psnr(pictures: Tensor, reference: Tensor): number[] {
  const clamped = ({ dims, data }: Tensor): Tensor => {
    return { dims, data: data.map((value) => Math.min(1, Math.max(-1, value))) };
  };
  return byRow(clamped(pictures), clamped(reference), () => PICTURE_RANGE);
}

/**
 * PSNR in dB of each of `(n, …)` latents that nothing decodes; the peak is the range, largest − smallest, of the
 * reference.
 *
 * @throws {RangeError} When the shapes differ.
 */
export function latentPsnr(latents: Tensor, reference: Tensor): number[] {
  return byRow(latents, reference, rangeOf);
}

/** Largest − smallest. */
export function rangeOf(values: Float32Array): number {
  let least = Infinity;
  let most = -Infinity;
  for (const value of values) {
    least = Math.min(least, value);
    most = Math.max(most, value);
  }
  return most - least;
}

/** Mean of the squared differences. */
export function meanSquare(numbers: Float32Array, reference: Float32Array): number {
  let squares = 0;
  for (let i = 0; i < reference.length; i++) squares += (numbers[i]! - reference[i]!) ** 2; // as long
  return squares / reference.length;
}

function byRow(
  tensor: Tensor,
  reference: Tensor,
  peakOf: (reference: Float32Array) => number,
): number[] {
  if (`${tensor.dims}` !== `${reference.dims}`) {
    throw new RangeError(
      `Cannot compare: shape must be [${reference.dims}]: current value is [${tensor.dims}]`,
    );
  }
  const [rows = 0] = reference.dims;
  const size = reference.data.length / rows;
  return Array.from({ length: rows }, (_, row) => {
    const part = (data: Float32Array): Float32Array => data.subarray(row * size, (row + 1) * size);
    const wanted = part(reference.data);
    const error = meanSquare(part(tensor.data), wanted);
    return error === 0
      ? EQUAL_DB
      : Math.min(EQUAL_DB, 10 * Math.log10(peakOf(wanted) ** 2 / error));
  });
}
