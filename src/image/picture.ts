/**
 * Turns latents into 8-bit pictures, and lays them out in a grid.
 */

import type { Tensor } from "../tensor/tensor.ts";

/** 8-bit pixels, rows from the top, channels last: grey, RGB or RGBA. */
export interface Picture {
  /** Pixels per row. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
  /** Bytes per pixel: 1 grey, 3 RGB, 4 RGBA. */
  readonly channels: 1 | 3 | 4;
  /** `height * width * channels` numbers. */
  readonly pixels: Uint8Array;
}

/** How {@link tileGrid} lays pictures out. */
export interface GridOptions {
  /** Pictures per row; without it those of the fullest grid, see {@linkcode fullestColumns}. */
  readonly columns?: number;
  /** Each pixel becomes a square of this side; without it small pictures grow to about 128 pixels. */
  readonly scale?: number;
  /** White pixels between neighbours, not scaled; 4 without it. */
  readonly gap?: number;
}

const LONGEST = 4; // times as long as wide; a grid beyond is a strip
const VIEWABLE_SIDE = 128; // pixels; a 32 × 32 picture is a stamp on today's screens
const WHITE = 255;

/**
 * Turns final latents `(N, C, H, W)` in [-1, 1] with 1 (grey) or 3 (RGB) channels into N pictures.
 * Values outside are clamped. Rounded in float32, half up, so that every runtime gives the same bytes.
 *
 * @throws {RangeError} For other shapes, for channels that only a VAE could decode, for NaN.
 */
export function toPictures(latents: Tensor): Picture[] {
  const [count, channels, height, width] = latents.dims;
  if (
    count === undefined || channels === undefined || height === undefined || width === undefined ||
    latents.dims.length !== 4
  ) {
    throw new RangeError(
      `Cannot make pictures: latents must be (N, C, H, W): current value is [${latents.dims}]`,
    );
  }
  if (channels !== 1 && channels !== 3) {
    throw new RangeError(
      `Cannot make pictures: latents must have 1 or 3 channels, others must be decoded first ` +
        `(decode() of a pipeline with an autoencoder): current value is ${channels}`,
    );
  }
  const size = channels * height * width;
  return Array.from({ length: count }, (_, n) => {
    const planes = latents.data.subarray(n * size, (n + 1) * size);
    return { width, height, channels, pixels: toPixels(planes, channels) };
  });
}

/** Pixels as canvases and encoders of the web take them: RGBA, opaque unless the picture has alpha. */
export function toRgba(
  { width, height, channels, pixels }: Picture,
): { width: number; height: number; data: Uint8ClampedArray<ArrayBuffer> } {
  const data = new Uint8ClampedArray(width * height * 4).fill(WHITE);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) data[i * 4 + c] = pixels[i * channels + (channels === 1 ? 0 : c)]!;
    if (channels === 4) data[i * 4 + 3] = pixels[i * channels + 3]!;
  }
  return { width, height, data };
}

/**
 * Lays pictures of one size out in rows on white; pixels grow by nearest neighbour.
 *
 * @returns The grid, with the columns and the scale that it has.
 * @throws {RangeError} Without pictures, for unequal ones, and for options that are not whole numbers.
 */
export function tileGrid(
  pictures: readonly Picture[],
  options: GridOptions = {},
): Picture & { readonly columns: number; readonly scale: number } {
  const [first] = pictures;
  if (first === undefined) {
    throw new RangeError("Cannot tile grid: pictures must be 1 or more: current value is 0");
  }
  for (const picture of pictures) checkAlike(picture, first);
  const side = Math.max(first.width, first.height);
  const {
    columns = fullestColumns(pictures.length, first.width / first.height),
    scale = Math.max(1, Math.floor(VIEWABLE_SIDE / side)),
    gap = 4,
  } = options;
  checkWhole(columns, { name: "columns", least: 1 });
  checkWhole(scale, { name: "scale", least: 1 });
  checkWhole(gap, { name: "gap", least: 0 });
  const across = Math.min(columns, pictures.length);
  const down = Math.ceil(pictures.length / columns);
  const width = across * (first.width * scale + gap) - gap;
  const height = down * (first.height * scale + gap) - gap;
  const pixels = new Uint8Array(width * height * first.channels).fill(WHITE);
  const grid = { width, height, channels: first.channels, pixels, columns: across, scale };
  for (const [i, picture] of pictures.entries()) {
    const left = (i % columns) * (first.width * scale + gap);
    const top = Math.floor(i / columns) * (first.height * scale + gap);
    paste(picture, grid, { left, top, scale });
  }
  return grid;
}

/**
 * Columns of the grid with the fewest empty cells, and of those the squarest, that is at most four times
 * as long as wide: ten squares stand in two rows of five.
 *
 * @param aspect Width of a cell ÷ its height.
 */
export function fullestColumns(count: number, aspect: number = 1): number {
  const grids = Array.from({ length: count }, (_, i) => {
    const columns = count - i; // of two grids alike the wide one comes first
    const rows = Math.ceil(count / columns);
    const length = Math.max(columns * aspect / rows, rows / (columns * aspect));
    return { columns, empty: columns * rows - count, length };
  });
  const short = grids.filter(({ length }) => length <= LONGEST);
  const [best] = (short.length > 0 ? short : grids)
    .toSorted((a, b) => a.empty - b.empty || a.length - b.length);
  return best?.columns ?? 0;
}

/** Planes `(C, H, W)` → pixels `(H, W, C)`. */
function toPixels(planes: Float32Array, channels: number): Uint8Array {
  const pixels = new Uint8Array(planes.length);
  const planeSize = planes.length / channels;
  let from = 0;
  for (let channel = 0; channel < channels; channel++) {
    for (let i = 0; i < planeSize; i++) {
      const value = planes[from++]!;
      if (Number.isNaN(value)) {
        throw new RangeError("Cannot make pictures: latents must be numbers: current value is NaN");
      }
      pixels[i * channels + channel] = toByte(value);
    }
  }
  return pixels;
}

function toByte(value: number): number {
  const level = Math.fround(Math.fround(value + 1) * 127.5);
  return Math.min(255, Math.max(0, Math.floor(Math.fround(level + 0.5))));
}

function paste(
  from: Picture,
  to: Picture,
  { left, top, scale }: { readonly left: number; readonly top: number; readonly scale: number },
): void {
  const { channels } = from;
  const bytes = from.width * channels;
  for (let y = 0; y < from.height * scale; y++) {
    const source = Math.floor(y / scale) * bytes;
    const row = from.pixels.subarray(source, source + bytes);
    to.pixels.set(widened(row, channels, scale), ((top + y) * to.width + left) * channels);
  }
}

/** Every pixel of a row so many times. */
function widened(row: Uint8Array, channels: number, scale: number): Uint8Array {
  if (scale === 1) return row;
  const wide = new Uint8Array(row.length * scale);
  for (let x = 0; x * channels < wide.length; x++) {
    const source = Math.floor(x / scale) * channels;
    for (let c = 0; c < channels; c++) wide[x * channels + c] = row[source + c]!;
  }
  return wide;
}

function checkAlike(picture: Picture, first: Picture): void {
  const [value, wanted] = [picture, first].map((p) => `${p.width} x ${p.height} x ${p.channels}`);
  if (value === wanted) return;
  throw new RangeError(
    `Cannot tile grid: pictures must all be ${wanted}: current value is ${value}`,
  );
}

function checkWhole(
  value: number,
  { name, least }: { readonly name: string; readonly least: number },
): void {
  if (Number.isInteger(value) && value >= least) return;
  throw new RangeError(
    `Cannot tile grid: ${name} must be a whole number >= ${least}: current value is ${value}`,
  );
}
