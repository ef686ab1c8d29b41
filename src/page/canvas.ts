/**
 * Pixels on canvases, and out of files.
 */

import type { Pixels } from "./pixels.ts";

/** Side from which a picture is shown smooth; smaller ones keep their square pixels. */
const SMOOTH_SIDE = 128;

/** Shows pixels at their own size; the style sheet scales them. */
export function paint(canvas: HTMLCanvasElement, { width, height, data }: Pixels): void {
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  canvas.classList.toggle("smooth", Math.max(width, height) >= SMOOTH_SIDE);
  context(canvas).putImageData(new ImageData(data, width, height), 0, 0);
}

/** Pixels of a picture file, without colour management. */
export async function decodePicture(file: Blob): Promise<Pixels> {
  const bitmap = await createImageBitmap(file, { colorSpaceConversion: "none" });
  const { width, height } = bitmap;
  const canvas = new OffscreenCanvas(width, height);
  const context2d = canvas.getContext("2d", { willReadFrequently: true })!; // a new canvas has one
  context2d.drawImage(bitmap, 0, 0);
  bitmap.close();
  return { width, height, data: context2d.getImageData(0, 0, width, height).data };
}

function context(canvas: HTMLCanvasElement): CanvasRenderingContext2D {
  return canvas.getContext("2d")!; // no other kind was asked for
}
