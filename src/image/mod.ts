/**
 * 8-bit pictures: from decoded latents, in a grid, to PNG and back, and measures of their difference.
 *
 * @module
 */

export { type GridOptions, type Picture, tileGrid, toPictures } from "./picture.ts";
export { encodePng } from "./png.ts";
export { readPngText } from "./png_text.ts";
