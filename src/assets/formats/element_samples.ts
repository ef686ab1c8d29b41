/**
 * Single elements of large tensors, as a fingerprint needs them.
 */

import { BLOCK_BYTES } from "../source.ts";

/** A tensor up to this many bytes is read whole when it is sampled: one block costs less than 64 reads. */
export const SAMPLE_WHOLE = BLOCK_BYTES;
/** Reads of single elements that wait for an answer at the same time. */
const SAMPLE_READS = 16;

/**
 * Proves that indices are those of elements.
 *
 * @throws {RangeError} When one is outside of a tensor of this size.
 */
export function checkIndices(name: string, indices: readonly number[], size: number): void {
  const wrong = indices.find((index) => !Number.isInteger(index) || index < 0 || index >= size);
  if (wrong === undefined) return;
  throw new RangeError(
    `Cannot sample ${name}: an index must be an integer from 0 to ${size - 1}: ` +
      `current value is ${wrong}`,
  );
}

/** Reads one element after another, several at the same time; `into` has room for one. */
export async function sampleEach(
  indices: readonly number[],
  read: (index: number, into: Float32Array) => Promise<void>,
): Promise<Float32Array> {
  const values = new Float32Array(indices.length);
  const waiting = indices.entries();
  const reader = async (): Promise<void> => {
    for (const [i, index] of waiting) await read(index, values.subarray(i, i + 1));
  };
  await Promise.all(Array.from({ length: SAMPLE_READS }, reader));
  return values;
}
