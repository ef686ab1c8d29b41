/**
 * Statistics of norms over a picture, put together from those of its parts.
 *
 * @module
 */

import type { Tensor } from "../tensor/tensor.ts";

/** Sums of one norm, by group. */
interface Sums {
  weight: number;
  readonly means: Float64Array;
  readonly squares: Float64Array;
}

/** Mean and variance of each group of each norm, by the norm's name. */
export class Statistics {
  readonly #sums = new Map<string, Sums>();

  /** Adds what a part measured, mean and variance `(2, groups, 1)`; `weight` is its count of pixels. */
  add(norm: string, { dims: [, groups = 0], data }: Tensor, weight: number): void {
    const sums = this.#sums.get(norm) ?? {
      weight: 0,
      means: new Float64Array(groups),
      squares: new Float64Array(groups),
    };
    this.#sums.set(norm, sums);
    sums.weight += weight;
    for (let group = 0; group < groups; group++) {
      const [mean, variance] = [data[group]!, data[groups + group]!]; // 2 × groups numbers
      sums.means[group]! += weight * mean;
      sums.squares[group]! += weight * (variance + mean * mean);
    }
  }

  /** Adds what is in a part `(1, C, H, W)`, whose channels make so many groups. */
  addPart(norm: string, { dims, data }: Tensor, groups: number): void {
    const size = data.length / groups;
    const measured = new Float32Array(2 * groups);
    for (let group = 0; group < groups; group++) {
      const { mean, variance } = momentsOf(data.subarray(group * size, (group + 1) * size));
      measured.set([mean], group);
      measured.set([variance], groups + group);
    }
    this.add(norm, { dims: [2, groups, 1], data: measured }, dims[2]! * dims[3]!); // rank 4
  }

  /** Mean and variance over all parts, `(2, groups, 1)`; `undefined` when none measured this norm. */
  get(norm: string): Tensor | undefined {
    const sums = this.#sums.get(norm);
    if (sums === undefined) return undefined;
    const means = sums.means.map((mean) => mean / sums.weight);
    const variances = sums.squares.map((square, i) =>
      Math.max(0, square / sums.weight - means[i]! ** 2)
    );
    return { dims: [2, means.length, 1], data: Float32Array.from([...means, ...variances]) };
  }
}

/** Mean first, then the mean square of what is left. */
function momentsOf(numbers: Float32Array): { readonly mean: number; readonly variance: number } {
  let sum = 0;
  for (let i = 0; i < numbers.length; i++) sum += numbers[i]!;
  const mean = sum / numbers.length;
  let square = 0;
  for (let i = 0; i < numbers.length; i++) square += (numbers[i]! - mean) ** 2;
  return { mean, variance: square / numbers.length };
}
