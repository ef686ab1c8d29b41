/**
 * Some elements of large tensors: single ones for a fingerprint, rows of a table for an embedding.
 */

import { BLOCK_BYTES } from "../source.ts";

/** A tensor up to this many bytes is read whole when it is sampled: one block costs less than 64 reads. */
export const SAMPLE_WHOLE = BLOCK_BYTES;
/** Reads of elements that wait for an answer at the same time. */
const SAMPLE_READS = 16;
/** Most elements of one read: 256 KiB of float32. */
const RUN_LIMIT = 1 << 16;

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

/**
 * Reads elements, several runs of neighbours at the same time: rows of a table come in one piece each.
 * `into` has room for the elements from `first` on.
 */
export async function sampleRuns(
  indices: readonly number[],
  read: (first: number, into: Float32Array) => Promise<void>,
): Promise<Float32Array> {
  const values = new Float32Array(indices.length);
  const waiting = runsOf(indices).values();
  const reader = async (): Promise<void> => {
    for (const [begin, end] of waiting) await read(indices[begin]!, values.subarray(begin, end));
  };
  await Promise.all(Array.from({ length: SAMPLE_READS }, reader));
  return values;
}

/** Where indices rise by one: places of the first of a run, and after its last. */
function runsOf(indices: readonly number[]): readonly (readonly [begin: number, end: number])[] {
  const runs: [number, number][] = [];
  for (const [i, index] of indices.entries()) {
    const last = runs.at(-1);
    if (last !== undefined && i - last[0] < RUN_LIMIT && index === indices[i - 1]! + 1) {
      last[1] = i + 1;
    } else runs.push([i, i + 1]);
  }
  return runs;
}
