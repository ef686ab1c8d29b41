/**
 * A picture file in another size, which says how it was drawn as the first does.
 */

import { type Picture, tileGrid } from "../image/picture.ts";
import { encodePng } from "../image/png.ts";
import { readPngText } from "../image/png_text.ts";
import { resizePicture } from "../image/resize.ts";
import { decodePicture } from "./canvas.ts";
import type { Pixels } from "./pixels.ts";

/** Side from which a picture grows smoothly; pixels of smaller ones become squares, as the page shows them. */
const SMOOTH_SIDE = 128;
/** Longest side that is offered, in pixels. */
const MOST_SIDE = 4096;
const SCALES = [1, 2, 4, 8, 16];

/** By how much a picture of these sides may grow. */
export function scalesOf({ width, height }: Pick<Pixels, "width" | "height">): readonly number[] {
  return SCALES.filter((scale) => scale === 1 || Math.max(width, height) * scale <= MOST_SIDE);
}

/** A PNG, enlarged; the same file where the scale is 1. */
export async function enlargePng(png: Blob, scale: number): Promise<Blob> {
  if (scale === 1) return png;
  const text = readPngText(new Uint8Array(await png.arrayBuffer()));
  const picture = enlarged(opaque(await decodePicture(png)), scale);
  return new Blob([await encodePng(picture, text)], { type: "image/png" });
}

/** A picture of `scale` times as many pixels in each direction. */
export function enlarged(picture: Picture, scale: number): Picture {
  const { width, height } = picture;
  return Math.max(width, height) < SMOOTH_SIDE
    ? tileGrid([picture], { columns: 1, scale, gap: 0 })
    : resizePicture(picture, { width: width * scale, height: height * scale });
}

/** What is drawn has no opacity: three bytes for each pixel, not four. */
function opaque({ width, height, data }: Pixels): Picture {
  const pixels = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; i++) pixels.set(data.subarray(i * 4, i * 4 + 3), i * 3);
  return { width, height, channels: 3, pixels };
}
