/**
 * Pictures in another size: Lanczos over three lobes in the arithmetic of Pillow, whose bytes it gives, since
 * diffusers' pipelines resize by it.
 *
 * *Source:* Pillow `libImaging/Resample.c`, 8 bits a channel.
 */

import type { Picture } from "./picture.ts";

/** Size of a picture in pixels. */
export interface PictureSize {
  /** Pixels per row. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
}

/** Lobes of the filter to each side. */
const LOBES = 3;
/** Binary digits of a factor after the point. */
const DIGITS = 22;

/** A picture in another size: first its rows, then its columns, each rounded to bytes. */
export function resizePicture(picture: Picture, { width, height }: PictureSize): Picture {
  const across = width === picture.width ? picture : resizeRows(picture, width);
  if (height === across.height) return across;
  return transposed(resizeRows(transposed(across), height));
}

/** The largest part around the centre that has the aspect ratio of a size. */
export function cropToAspect(picture: Picture, { width, height }: PictureSize): Picture {
  const { width: w, height: h } = picture;
  const columns = Math.max(1, Math.min(w, Math.round(h * width / height)));
  const rows = Math.max(1, Math.min(h, Math.round(w * height / width)));
  const [left, top] = [Math.floor((w - columns) / 2), Math.floor((h - rows) / 2)];
  return cropped(picture, { left, top, columns, rows });
}

function cropped(
  picture: Picture,
  { left, top, columns, rows }: {
    readonly left: number;
    readonly top: number;
    readonly columns: number;
    readonly rows: number;
  },
): Picture {
  const { width, height, channels, pixels } = picture;
  if (columns === width && rows === height) return picture;
  const cut = new Uint8Array(columns * rows * channels);
  for (let y = 0; y < rows; y++) {
    const from = ((top + y) * width + left) * channels;
    cut.set(pixels.subarray(from, from + columns * channels), y * columns * channels);
  }
  return { width: columns, height: rows, channels, pixels: cut };
}

/** What a new pixel is made of. */
interface Window {
  readonly first: number;
  /** Factors of so many pixels, as whole numbers. */
  readonly factors: Int32Array;
}

function resizeRows({ width: before, height, channels, pixels }: Picture, width: number): Picture {
  const windows = windowsOf(before, width);
  const resized = new Uint8Array(width * height * channels);
  for (let y = 0; y < height; y++) {
    for (const [x, { first, factors }] of windows.entries()) {
      for (let c = 0; c < channels; c++) {
        let sum = 1 << (DIGITS - 1); // a half
        const from = (y * before + first) * channels + c;
        for (let i = 0; i < factors.length; i++) sum += pixels[from + i * channels]! * factors[i]!;
        resized[(y * width + x) * channels + c] = Math.min(255, Math.max(0, sum >> DIGITS));
      }
    }
  }
  return { width, height, channels, pixels: resized };
}

function windowsOf(before: number, after: number): Window[] {
  const scale = before / after;
  const stretch = Math.max(1, scale);
  const reach = LOBES * stretch;
  return Array.from({ length: after }, (_, x) => {
    const centre = (x + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - reach + 0.5));
    const end = Math.min(before, Math.trunc(centre + reach + 0.5));
    const raw = Array.from(
      { length: end - first },
      (_, i) => lanczos((i + first - centre + 0.5) * (1 / stretch)),
    );
    const sum = raw.reduce((total, factor) => total + factor, 0);
    const whole = (factor: number): number =>
      Math.trunc(factor / sum * 2 ** DIGITS + (factor < 0 ? -0.5 : 0.5));
    return { first, factors: Int32Array.from(raw, whole) };
  });
}

function lanczos(x: number): number {
  return x >= -LOBES && x < LOBES ? sinc(x) * sinc(x / LOBES) : 0;
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI);
}

function transposed({ width, height, channels, pixels }: Picture): Picture {
  const turned = new Uint8Array(pixels.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < channels; c++) {
        turned[(x * height + y) * channels + c] = pixels[(y * width + x) * channels + c]!;
      }
    }
  }
  return { width: height, height: width, channels, pixels: turned };
}
