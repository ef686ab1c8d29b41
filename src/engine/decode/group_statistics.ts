/**
 * Statistics of norms over a picture, combined from those of its parts.
 */

import type { Rows } from "./row_store.ts";
import type { Tensor } from "../../tensor/tensor.ts";

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
    const sums = this.#sumsOf(norm, groups);
    sums.weight += weight;
    for (let group = 0; group < groups; group++) {
      const [mean, variance] = [data[group]!, data[groups + group]!]; // 2 × groups numbers
      sums.means[group]! += weight * mean;
      sums.squares[group]! += weight * (variance + mean * mean);
    }
  }

  /** Adds rows of a picture `(1, C, H, W)` whose channels make so many groups. */
  addRows(norm: string, { tensor: { dims, data }, first, count }: Rows, groups: number): void {
    const [, channels = 0, height = 0, width = 0] = dims;
    const sums = this.#sumsOf(norm, groups);
    const weight = count * width;
    sums.weight += weight;
    for (let c = 0; c < channels; c++) {
      const from = (c * height + first) * width;
      const { mean, square } = momentsOf(data.subarray(from, from + weight));
      const group = Math.floor(c * groups / channels);
      const share = weight * groups / channels;
      sums.means[group]! += share * mean;
      sums.squares[group]! += share * square;
    }
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

  #sumsOf(norm: string, groups: number): Sums {
    const known = this.#sums.get(norm);
    if (known !== undefined) return known;
    const [means, squares] = [new Float64Array(groups), new Float64Array(groups)];
    const sums: Sums = { weight: 0, means, squares };
    this.#sums.set(norm, sums);
    return sums;
  }
}

/** Means of numbers and of their squares; in float64 a large mean costs float32 numbers no precision. */
function momentsOf(numbers: Float32Array): { readonly mean: number; readonly square: number } {
  let [sum, squares] = [0, 0];
  for (let i = 0; i < numbers.length; i++) {
    const value = numbers[i]!;
    sum += value;
    squares += value * value;
  }
  return { mean: sum / numbers.length, square: squares / numbers.length };
}
