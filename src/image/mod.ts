/**
 * 8-bit pictures: from decoded latents, in a grid, to PNG and back, from PNG, JPEG and WebP, and in another size.
 *
 * @module
 */

export type { CompiledDecoders } from "./lossy_decoders.ts";
export { type GridOptions, type Picture, tileGrid, toPictures } from "./picture.ts";
export { encodePng } from "./png.ts";
export { readPngText } from "./png_text.ts";
export { readPicture, type ReadPictureOptions } from "./read_picture.ts";
export { cropToAspect, type PictureSize, resizePicture } from "./resize.ts";
