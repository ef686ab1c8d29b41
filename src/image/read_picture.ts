/**
 * Pictures from the bytes of a file: PNG by our own reader, JPEG and WebP by jSquash's WebAssembly decoders, which
 * are loaded when they are first needed; hosts that compile none (workerd) are handed them compiled.
 */

import { AssetError } from "../errors.ts";
import { joinBytes } from "../tensor/bytes.ts";
import { type CompiledDecoders, type Decode, loadDecoder } from "./lossy_decoders.ts";
import type { Picture } from "./picture.ts";
import { endsAsJpeg, NAMES, readHeaderWithin } from "./picture_header.ts";
import { decodePng } from "./png_decode.ts";

/** What is read. */
export interface ReadPictureOptions {
  /** Pixels from which on a picture is refused before it is decoded; 100 million unless given. */
  readonly pixelLimit?: number | undefined;
  /** Decoders of JPEG and WebP for hosts that compile none. */
  readonly decoders?: CompiledDecoders | undefined;
}

/**
 * Reads a PNG, JPEG or WebP as 8-bit grey, RGB or RGBA. A JPEG with an EXIF orientation is turned upright.
 *
 * @throws {AssetError} When the bytes are no intact file of these kinds, an animated WebP, or a JPEG in CMYK.
 * @throws {RangeError} When the picture has too many pixels.
 */
export async function readPicture(
  bytes: Uint8Array,
  { pixelLimit, decoders }: ReadPictureOptions = {},
): Promise<Picture> {
  const { format } = readHeaderWithin(bytes, pixelLimit);
  const own = joinBytes([bytes]); // decoders take whole buffers
  if (format === "jpeg" && !endsAsJpeg(own)) {
    throw new AssetError("Cannot read picture: the JPEG ends before its last pixel.");
  }
  if (format === "png") return await decodePng(own);
  return await decodeLossy(own, format, decoders);
}

async function decodeLossy(
  bytes: Uint8Array<ArrayBuffer>,
  format: "jpeg" | "webp",
  decoders: CompiledDecoders | undefined,
): Promise<Picture> {
  let decode: Decode;
  try {
    decode = await loadDecoder(format, decoders);
  } catch (cause) {
    throw new AssetError(`Cannot read picture: there is no decoder of ${NAMES[format]} here.`, {
      cause,
    });
  }
  try {
    const { width, height, data } = await decode(bytes.buffer);
    return opaque({ width, height, channels: 4, pixels: new Uint8Array(data) });
  } catch (cause) {
    throw new AssetError(
      `Cannot read picture: the ${NAMES[format]} is damaged, or of a kind that is not read.`,
      {
        cause,
      },
    );
  }
}

/** A picture without alpha where none of its pixels is transparent. */
function opaque(picture: Picture): Picture {
  const { width, height, pixels } = picture;
  const count = width * height;
  for (let i = 0; i < count; i++) {
    if (pixels[4 * i + 3] !== 255) return picture;
  }
  const rgb = new Uint8Array(3 * count);
  for (let i = 0; i < count; i++) {
    for (let c = 0; c < 3; c++) rgb[3 * i + c] = pixels[4 * i + c]!;
  }
  return { width, height, channels: 3, pixels: rgb };
}
