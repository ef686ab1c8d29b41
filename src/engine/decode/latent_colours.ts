/**
 * A cheap preview of latents: each latent pixel becomes one colour, by a linear map that is fitted to the decoder.
 */

import { normalNoise } from "../../tensor/random.ts";
import type { Tensor } from "../../tensor/tensor.ts";

/** For each of red, green and blue a factor for every latent channel, then a constant. */
export type LatentColours = readonly [Float64Array, Float64Array, Float64Array];

/** Side of the sample in latent pixels. */
const SIDE = 16;
/** Share of the mean square by which equations are kept solvable. */
const RIDGE = 1e-6;

/**
 * The latents that a map is fitted on, always the same: noise at every scale from one pixel to the whole, of
 * variance 1 together, since latents of pictures are smooth in parts. 256 pixels.
 */
export function sampleLatents(channels: number): Tensor {
  const data = new Float32Array(channels * SIDE * SIDE);
  const scales = [1, 2, 4, 8, 16];
  for (const [i, scale] of scales.entries()) {
    const cells = SIDE / scale;
    const noise = normalNoise([1, channels, cells, cells], i).data;
    for (let at = 0; at < data.length; at++) {
      const [x, y] = [at % SIDE, Math.floor(at / SIDE) % SIDE];
      const plane = Math.floor(at / SIDE ** 2);
      const cell = (plane * cells + Math.floor(y / scale)) * cells + Math.floor(x / scale);
      data[at]! += noise[cell]! / Math.sqrt(scales.length);
    }
  }
  return { dims: [1, channels, SIDE, SIDE], data };
}

/** The least-squares map between latents `(N, C, h, w)` and the mean colours of `(N, 3, H, W)`. */
export function fitColours(latents: Tensor, pictures: Tensor): LatentColours {
  const [count = 0, channels = 0, height = 0, width = 0] = latents.dims;
  const scale = pictures.dims[2]! / height; // rank 4
  const size = channels + 1;
  const products = Array.from({ length: size }, () => new Float64Array(size + 3));
  for (let at = 0; at < count * height * width; at++) {
    const place = { n: Math.floor(at / (height * width)), pixel: at % (height * width) };
    const row = [...latentAt(latents, place), 1];
    const wanted = [0, 1, 2].map((c) => meanColour(pictures, { ...place, c, width, scale }));
    for (const [i, factor] of row.entries()) {
      [...row, ...wanted].forEach((value, j) => products[i]![j]! += factor * value);
    }
  }
  const ridge = RIDGE * products.reduce((sum, row, i) => sum + row[i]!, 0) / size;
  products.forEach((row, i) => row[i]! += ridge);
  return solve(products);
}

/** The numbers of one latent pixel. */
function latentAt(
  { dims: [, channels = 0, height = 0, width = 0], data }: Tensor,
  { n, pixel }: { readonly n: number; readonly pixel: number },
): number[] {
  const plane = height * width;
  return Array.from({ length: channels }, (_, c) => data[(n * channels + c) * plane + pixel]!);
}

/** Mean of one colour over the pixels of a latent pixel. */
function meanColour(
  { dims: [, , , across = 0], data, dims: [, , down = 0] }: Tensor,
  { n, pixel, c, width, scale }: {
    readonly n: number;
    readonly pixel: number;
    readonly c: number;
    readonly width: number;
    readonly scale: number;
  },
): number {
  const [top, left] = [Math.floor(pixel / width) * scale, (pixel % width) * scale];
  let sum = 0;
  for (let y = top; y < top + scale; y++) {
    const from = ((n * 3 + c) * down + y) * across + left;
    for (let x = from; x < from + scale; x++) sum += data[x]!;
  }
  return sum / scale ** 2;
}

/** Gaussian elimination of symmetric positive equations with three right-hand sides after them. */
function solve(rows: readonly Float64Array[]): LatentColours {
  const size = rows.length;
  for (const [i, pivot] of rows.entries()) {
    for (const [j, row] of rows.entries()) {
      if (i === j) continue;
      const factor = row[i]! / pivot[i]!;
      for (let k = i; k < size + 3; k++) row[k]! -= factor * pivot[k]!;
    }
  }
  const side = (c: number): Float64Array =>
    Float64Array.from(rows, (row, i) => row[size + c]! / row[i]!);
  return [side(0), side(1), side(2)];
}

/** Latents `(N, C, h, w)` to colours `(N, 3, h, w)`, kept within [-1, 1]. */
export function paintLatents(colours: LatentColours, latents: Tensor): Tensor {
  const [count = 0, channels = 0, height = 0, width = 0] = latents.dims;
  const plane = height * width;
  const data = new Float32Array(count * 3 * plane);
  for (const [c, factors] of colours.entries()) {
    for (let n = 0; n < count; n++) {
      const to = data.subarray((n * 3 + c) * plane, (n * 3 + c + 1) * plane).fill(
        factors[channels]!,
      );
      for (let channel = 0; channel < channels; channel++) {
        const from = (n * channels + channel) * plane;
        for (let i = 0; i < plane; i++) to[i]! += factors[channel]! * latents.data[from + i]!;
      }
    }
  }
  return { dims: [count, 3, height, width], data: data.map((v) => Math.min(1, Math.max(-1, v))) };
}
