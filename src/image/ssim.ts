/**
 * Structural similarity of latents or pictures to a reference.
 *
 * *Source:* Wang, Bovik, Sheikh, Simoncelli: Image quality assessment (2004), equation 13 with its
 * constants: 11 × 11 Gaussian window, σ 1.5, K₁ 0.01, K₂ 0.03; windows that lie inside.
 */

import type { Tensor } from "../tensor/tensor.ts";
import { rangeOf } from "./psnr.ts";

const WINDOW = 11;
const SIGMA = 1.5;
const K1 = 0.01;
const K2 = 0.03;

/**
 * Mean SSIM of each row of `(n, C, H, W)`, over its channels; 1 for equal rows, the range being that
 * (largest − smallest) of its reference. In planes smaller than the window the window shrinks.
 *
 * @throws {RangeError} When the shapes differ or are not `(n, C, H, W)`.
 */
export function ssim(tensor: Tensor, reference: Tensor): number[] {
  const [rows = 0, channels = 0, height = 0, width] = reference.dims;
  if (width === undefined || `${tensor.dims}` !== `${reference.dims}`) {
    throw new RangeError(
      `Cannot compare: shape must be (n, C, H, W) and [${reference.dims}]: ` +
        `current value is [${tensor.dims}]`,
    );
  }
  const size = height * width;
  return Array.from({ length: rows }, (_, row) => {
    const all = reference.data.subarray(row * channels * size, (row + 1) * channels * size);
    const range = rangeOf(all) || 1; // of a plain reference any will do
    const planes = Array.from({ length: channels }, (_, c) => {
      const first = (row * channels + c) * size;
      const plane = (data: Float32Array): Plane => ({
        values: Float64Array.from(data.subarray(first, first + size)),
        height,
        width,
      });
      return ssimOf(plane(tensor.data), plane(reference.data), range);
    });
    return mean(planes);
  });
}

/** One channel, row by row. */
interface Plane {
  readonly values: Float64Array;
  readonly height: number;
  readonly width: number;
}

/** σ² = E[x²] − E[x]² and so on, all E under the window. */
function ssimOf(x: Plane, y: Plane, range: number): number {
  const window = gaussian(Math.min(WINDOW, x.height, x.width));
  const expect = (a: Plane, b?: Plane): Float64Array =>
    blur(b === undefined ? a : product(a, b), window).values;
  const [mx, my, xx, yy, xy] = [expect(x), expect(y), expect(x, x), expect(y, y), expect(x, y)];
  const [c1, c2] = [(K1 * range) ** 2, (K2 * range) ** 2];
  return mean(Array.from(mx, (u, i) => {
    const v = my[i]!; // planes of one size
    const luminance = (2 * u * v + c1) / (u * u + v * v + c1);
    const structure = (2 * (xy[i]! - u * v) + c2) / (xx[i]! - u * u + yy[i]! - v * v + c2);
    return luminance * structure;
  }));
}

function product(a: Plane, b: Plane): Plane {
  return { ...a, values: a.values.map((value, i) => value * b.values[i]!) };
}

/** Weights that add up to 1. */
function gaussian(length: number): readonly number[] {
  const weights = Array.from(
    { length },
    (_, i) => Math.exp(-((i - (length - 1) / 2) ** 2) / (2 * SIGMA ** 2)),
  );
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
}

/** Separable: along rows, then along columns; only windows that lie inside. */
function blur(plane: Plane, window: readonly number[]): Plane {
  return transposed(blurRows(transposed(blurRows(plane, window)), window));
}

function blurRows({ values, height, width }: Plane, window: readonly number[]): Plane {
  const inside = width - window.length + 1;
  const blurred = new Float64Array(height * inside);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < inside; x++) {
      let sum = 0;
      for (let k = 0; k < window.length; k++) sum += window[k]! * values[y * width + x + k]!;
      blurred[y * inside + x] = sum;
    }
  }
  return { values: blurred, height, width: inside };
}

function transposed({ values, height, width }: Plane): Plane {
  const turned = values.map((_, i) => values[(i % height) * width + Math.floor(i / height)]!);
  return { values: turned, height: width, width: height };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
