/**
 * Seeded normal noise that is the same on every machine and runtime.
 *
 * Philox4x32-10 makes the bits and Box–Muller the normal numbers. Runtimes disagree in the last bits of
 * `log`, `sin` and `cos`, so each result is rounded to float32 before it is used further.
 *
 * *Source:* Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).
 */

import { elementCount, type Tensor } from "./tensor.ts";

const MULTIPLIERS = [0xd2511f53, 0xcd9e8d57] as const;
const KEY_STEPS = [0x9e3779b9, 0xbb67ae85] as const;
const ROUNDS = 10;
const { fround } = Math;

/**
 * Standard normal numbers; the first numbers of a larger tensor are those of a smaller one.
 *
 * @throws {RangeError} When the seed is not an integer in 0 … 2⁵³ − 1.
 */
export function normalNoise(dims: readonly number[], seed: number): Tensor {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new RangeError(
      `Cannot make noise: seed must be an integer in 0 … 2^53 - 1: current value is ${seed}`,
    );
  }
  const data = new Float32Array(elementCount(dims));
  const key = [seed >>> 0, Math.floor(seed / 2 ** 32)] as const;
  for (let at = 0; at < data.length; at += 4) {
    const bits = philox([at / 4, 0, 0, 0], key);
    writeNormals(data, at, bits[0], bits[1]);
    writeNormals(data, at + 2, bits[2], bits[3]);
  }
  return { dims, data };
}

/** Noise `(n, …)`: row i is {@linkcode normalNoise} of `dims` and seed i. */
export function normalRows(dims: readonly number[], seeds: readonly number[]): Tensor {
  const size = elementCount(dims);
  const data = new Float32Array(seeds.length * size);
  seeds.forEach((seed, i) => data.set(normalNoise(dims, seed).data, i * size));
  return { dims: [seeds.length, ...dims], data };
}

/** Four unsigned 32-bit integers of a counter under a key: Philox4x32 with ten rounds. */
export function philox(
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
): [number, number, number, number] {
  // Signed in between and without pairs, which an engine that has not compiled this yet would allocate.
  let a = counter[0] | 0;
  let b = counter[1] | 0;
  let c = counter[2] | 0;
  let d = counter[3] | 0;
  let k0 = key[0] | 0;
  let k1 = key[1] | 0;
  for (let round = 0; round < ROUNDS; round++) {
    const x = a;
    const y = c;
    a = highHalf(MULTIPLIERS[1], y) ^ b ^ k0;
    c = highHalf(MULTIPLIERS[0], x) ^ d ^ k1;
    b = Math.imul(MULTIPLIERS[1], y);
    d = Math.imul(MULTIPLIERS[0], x);
    k0 = (k0 + KEY_STEPS[0]) | 0;
    k1 = (k1 + KEY_STEPS[1]) | 0;
  }
  return [a >>> 0, b >>> 0, c >>> 0, d >>> 0];
}

/** The upper half of a 32 × 32 bit product, of products of 16 bits, for BigInt is slow. */
function highHalf(a: number, b: number): number {
  const a0 = a & 0xffff;
  const a1 = a >>> 16;
  const b0 = b & 0xffff;
  const b1 = b >>> 16;
  const first = a1 * b0 + ((a0 * b0) >>> 16); // below 2^32, as the next
  const second = a0 * b1 + (first & 0xffff);
  return (a1 * b1 + (first >>> 16) + (second >>> 16)) | 0;
}

/** Writes two numbers by Box–Muller; what lies beyond the end is left out, as typed arrays do. */
function writeNormals(data: Float32Array, at: number, a: number, b: number): void {
  const uniform = (a + 0.5) / 2 ** 32; // in (0, 1)
  const radius = fround(Math.sqrt(fround(-2 * fround(Math.log(uniform)))));
  const angle = 2 * Math.PI * (b / 2 ** 32);
  data[at] = radius * fround(Math.cos(angle));
  data[at + 1] = radius * fround(Math.sin(angle));
}
