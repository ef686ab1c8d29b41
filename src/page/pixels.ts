/**
 * Pictures as RGBA bytes, and what tells two of them apart.
 */

import { toPictures, toRgba } from "../image/picture.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** RGBA, rows from the top; what a canvas takes and gives. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  /** `height * width * 4` numbers. */
  readonly data: Uint8ClampedArray<ArrayBuffer>;
}

const OPAQUE = 255;

/** The first of the pictures `(n, 1 or 3, H, W)`. */
export function pixelsOf(pictures: Tensor): Pixels {
  return toRgba(toPictures(pictures)[0]!); // a rendering has at least one
}

/**
 * PSNR in dB over red, green and blue, the peak being 255; infinite for equal pictures.
 *
 * @throws {RangeError} When the sizes differ.
 */
export function pixelPsnr(a: Pixels, b: Pixels): number {
  expectAlike(a, b);
  let squares = 0;
  forEachColour(a, b, (x, y) => squares += (x - y) ** 2);
  return 10 * Math.log10(255 ** 2 / (squares / (a.width * a.height * 3)));
}

/**
 * How far apart two pictures are, magnified; black where they are equal.
 *
 * @throws {RangeError} When the sizes differ.
 */
export function pixelDifference(a: Pixels, b: Pixels, factor: number): Pixels {
  expectAlike(a, b);
  const data = new Uint8ClampedArray(a.data.length).fill(OPAQUE);
  forEachColour(a, b, (x, y, at) => data[at] = Math.abs(x - y) * factor);
  return { width: a.width, height: a.height, data };
}

function forEachColour(
  a: Pixels,
  b: Pixels,
  use: (x: number, y: number, at: number) => void,
): void {
  for (let at = 0; at < a.data.length; at++) {
    if (at % 4 !== 3) use(a.data[at]!, b.data[at]!, at); // the fourth is opacity
  }
}

function expectAlike(a: Pixels, b: Pixels): void {
  if (a.width === b.width && a.height === b.height) return;
  throw new RangeError(
    `Cannot compare: size must be ${a.width} x ${a.height}: current value is ${b.width} x ${b.height}`,
  );
}
