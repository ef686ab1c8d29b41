/** The formulas of our operators in float64, as plainly as they can be written. */

import type { Tensor } from "../../src/tensor/tensor.ts";

/** Applies a function to every number. */
export function map({ dims, data }: Tensor, f: (x: number) => number): Tensor {
  return { dims, data: Float32Array.from(data, f) };
}

/** *Source:* Hendrycks & Gimpel, arXiv 1606.08415, tanh form. */
export function geluTanh(x: number): number {
  return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
}

/** `x · sigmoid(x)`. */
export function silu(x: number): number {
  return x / (1 + Math.exp(-x));
}

/** Rows of the last axis, one function of a row. */
function rows({ dims, data }: Tensor, out: number, f: (row: number[]) => number[]): Tensor {
  const width = dims.at(-1)!;
  const results: number[] = [];
  for (let at = 0; at < data.length; at += width) {
    results.push(...f([...data.slice(at, at + width)]));
  }
  return { dims: [...dims.slice(0, -1), out], data: Float32Array.from(results) };
}

/** `x·Wᵀ + b`. */
export function linear(x: Tensor, weight: Float32Array, bias: Float32Array): Tensor {
  const width = x.dims.at(-1)!;
  return rows(
    x,
    bias.length,
    (row) =>
      [...bias].map((b, o) => row.reduce((sum, v, i) => sum + v * weight[o * width + i]!, b)),
  );
}

/** Mean 0, variance 1 over the last axis. */
export function layerNorm(x: Tensor, epsilon: number): Tensor {
  const width = x.dims.at(-1)!;
  return rows(x, width, (row) => {
    const mean = row.reduce((a, b) => a + b) / width;
    const variance = row.reduce((sum, v) => sum + (v - mean) ** 2, 0) / width;
    return row.map((v) => (v - mean) / Math.sqrt(variance + epsilon));
  });
}

/** Softmax attention of x `(N, T, D)` with itself as query, key and value. */
export function attention({ dims, data }: Tensor, heads: number): Tensor {
  const [n = 0, tokens = 0, width = 0] = dims;
  const size = width / heads;
  const at = (b: number, t: number, h: number, k: number): number =>
    data[(b * tokens + t) * width + h * size + k]!;
  const result = new Float32Array(data.length);
  for (let b = 0; b < n; b++) {
    for (let h = 0; h < heads; h++) {
      for (let q = 0; q < tokens; q++) {
        const scores = Array.from({ length: tokens }, (_, t) => {
          let dot = 0;
          for (let k = 0; k < size; k++) dot += at(b, q, h, k) * at(b, t, h, k);
          return Math.exp(dot / Math.sqrt(size));
        });
        const total = scores.reduce((x, y) => x + y);
        for (let k = 0; k < size; k++) {
          const mixed = scores.reduce((sum, score, t) => sum + score * at(b, t, h, k), 0);
          result[(b * tokens + q) * width + h * size + k] = mixed / total;
        }
      }
    }
  }
  return { dims, data: result };
}

/** The halves of the last axis, exchanged. */
export function swapHalves(x: Tensor): Tensor {
  const width = x.dims.at(-1)!;
  return rows(x, width, (row) => [...row.slice(width / 2), ...row.slice(0, width / 2)]);
}

/** The last axis read as two rows of four, written as four rows of two. */
export function interleave(x: Tensor): Tensor {
  return rows(x, 8, (row) => [0, 4, 1, 5, 2, 6, 3, 7].map((i) => row[i]!));
}

/** `x·r − (x + r)`, r being row `index` of each batch entry. */
export function againstRow({ dims, data }: Tensor, index: number): Tensor {
  const [, tokens = 0, width = 0] = dims;
  const result = data.map((value, i) => {
    const entry = Math.floor(i / (tokens * width));
    const r = data[(entry * tokens + index) * width + (i % width)]!;
    return value * r - (value + r);
  });
  return { dims, data: result };
}
