/**
 * From 8-bit pixels to planes of numbers, as models take pictures.
 *
 * *Source:* Pillow `Image.convert()`; diffusers `VaeImageProcessor.preprocess()`.
 */

import type { Tensor } from "../tensor/tensor.ts";
import type { Picture } from "./picture.ts";

const { fround } = Math;
const WHITE = 255;

/** A picture as planes `(1, 1 or 3, H, W)` in [-1, 1]: on white where it is transparent, in grey where there is one. */
export function toPlanes(picture: Picture, channels: 1 | 3): Tensor {
  const { width, height } = picture;
  const size = width * height;
  const data = new Float32Array(channels * size);
  const { pixels } = channels === 1 ? toGrey(picture) : toRgb(picture);
  for (let i = 0; i < size; i++) {
    for (let c = 0; c < channels; c++) {
      data[c * size + i] = fround(2 * fround(pixels[i * channels + c]! / 255)) - 1;
    }
  }
  return { dims: [1, channels, height, width], data };
}

/** A picture in three colours, on white. */
function toRgb(picture: Picture): Picture {
  const { width, height, channels, pixels } = picture;
  if (channels === 3) return picture;
  const rgb = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; i++) {
    const alpha = channels === 4 ? pixels[4 * i + 3]! : 255;
    for (let c = 0; c < 3; c++) {
      const level = channels === 1 ? pixels[i]! : pixels[4 * i + c]!;
      rgb[3 * i + c] = Math.round((level * alpha + 255 * (255 - alpha)) / 255);
    }
  }
  return { width, height, channels: 3, pixels: rgb };
}

/** White where a picture is transparent; black all over where it has no fourth channel. */
export function toTransparency({ width, height, channels, pixels }: Picture): Picture {
  const levels = Uint8Array.from({ length: width * height }, (_, i) => {
    return channels === 4 ? WHITE - pixels[4 * i + 3]! : 0;
  });
  return { width, height, channels: 1, pixels: levels };
}

/** A picture's lightness, on white. *Source:* ITU-R BT.601, in Pillow's whole numbers. */
export function toGrey(picture: Picture): Picture {
  const { width, height, channels } = picture;
  if (channels === 1) return picture;
  const { pixels } = toRgb(picture);
  const grey = Uint8Array.from({ length: width * height }, (_, i) => {
    const [red, green, blue] = [pixels[3 * i]!, pixels[3 * i + 1]!, pixels[3 * i + 2]!];
    return (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16;
  });
  return { width, height, channels: 1, pixels: grey };
}
