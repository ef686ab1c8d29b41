/**
 * Pictures of bytes: from decoded latents, in a grid, as PNG and back, and how far two are apart.
 *
 * @module
 */

export { type GridOptions, type Picture, tileGrid, toPictures } from "./picture.ts";
export { encodePng } from "./png.ts";
export { readPngText } from "./png_text.ts";
