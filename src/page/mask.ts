/**
 * A mask that is painted over a picture: white where it is drawn anew, black where it stays. It is coarser than a large
 * picture, so that a stroke costs the same over any, and brought to its size in the end.
 */

import type { Picture } from "../image/picture.ts";
import { toGrey, toTransparency } from "../image/planes.ts";
import type { PictureSize } from "../image/resize.ts";

/** A place on a mask, in its pixels; fractions are within them. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

/** How a stroke is painted. */
export interface Brush {
  /** Half of its width, in pixels of the mask. */
  readonly radius: number;
  /** Whether it takes away what is painted. */
  readonly erases: boolean;
}

/** Pixels of the longer side, at most. */
const LONGEST = 512;
const WHITE = 255;
/** Lighter than this is white. */
const HALF = 128;

/** A mask that repaints nothing, for a picture of this size. */
export function blankMask({ width, height }: PictureSize): Picture {
  const scale = Math.min(1, LONGEST / Math.max(width, height));
  const [across, down] = [width, height].map((side) => Math.max(1, Math.round(side * scale)));
  return grey({ width: across!, height: down! }); // of two sides
}

/** A mask with a stroke from one place to another; equal places make a dot. */
export function withStroke(
  mask: Picture,
  [from, to]: readonly [Point, Point],
  { radius, erases }: Brush,
): Picture {
  const { width, height } = mask;
  const pixels = mask.pixels.slice();
  const [left, right] = bounds([from.x, to.x], radius, width);
  const [top, bottom] = bounds([from.y, to.y], radius, height);
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) {
      const isNear = squareDistance({ x: x + 0.5, y: y + 0.5 }, from, to) <= radius ** 2;
      if (isNear) pixels[y * width + x] = erases ? 0 : WHITE;
    }
  }
  return { ...mask, pixels };
}

/** What a picture file says as a mask: what is transparent in it is repainted or, where nothing is, what is light. */
export function maskOf(file: Picture): Picture {
  const transparent = toTransparency(file);
  const mask = transparent.pixels.some((level) => level >= HALF) ? transparent : toGrey(file);
  return { ...mask, pixels: mask.pixels.map((level) => level >= HALF ? WHITE : 0) };
}

/** A mask in another size, each pixel that of its place. */
export function fitMask({ width: w, height: h, pixels }: Picture, size: PictureSize): Picture {
  const fitted = grey(size);
  const { width, height } = size;
  for (let y = 0; y < height; y++) {
    const row = Math.floor((y + 0.5) * h / height) * w;
    for (let x = 0; x < width; x++) {
      fitted.pixels[y * width + x] = pixels[row + Math.floor((x + 0.5) * w / width)]!;
    }
  }
  return fitted;
}

/** Share of a mask that is repainted, 0 … 1. */
export function repaintedShare({ pixels }: Picture): number {
  return pixels.reduce((count, level) => count + (level >= HALF ? 1 : 0), 0) / pixels.length;
}

/** The picture whose transparent part is repainted, as a server takes masks. */
export function asTransparency({ width, height, pixels }: Picture): Picture {
  const rgba = new Uint8Array(4 * pixels.length);
  pixels.forEach((level, i) => rgba[4 * i + 3] = WHITE - level);
  return { width, height, channels: 4, pixels: rgba };
}

function grey({ width, height }: PictureSize): Picture {
  return { width, height, channels: 1, pixels: new Uint8Array(width * height) };
}

/** The pixels of an axis that a stroke may reach: the first, and the one after the last. */
function bounds(ends: readonly number[], radius: number, size: number): [number, number] {
  const first = Math.floor(Math.min(...ends) - radius);
  const end = Math.ceil(Math.max(...ends) + radius);
  return [Math.max(0, first), Math.min(size, end)];
}

/** Of a place from a line between two others. */
function squareDistance(place: Point, from: Point, to: Point): number {
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const length = dx ** 2 + dy ** 2;
  const along = length === 0 ? 0 : ((place.x - from.x) * dx + (place.y - from.y) * dy) / length;
  const t = Math.min(1, Math.max(0, along));
  return (place.x - from.x - t * dx) ** 2 + (place.y - from.y - t * dy) ** 2;
}
