/**
 * Pictures as PNG files, compressed by the platform's own zlib stream.
 *
 * *Source:* PNG Specification, Third Edition (W3C, 2025); section numbers below are its own.
 */

import { joinBytes } from "../tensor/bytes.ts";
import type { Picture } from "./picture.ts";
import { crc32, isKeyword, SIGNATURE } from "./png_chunk.ts";
import { filterRows } from "./png_filter.ts";

const COLOR_TYPES = { 1: 0, 3: 2, 4: 6 } as const; // channels → color type, §11.2.1
const MAX_CHUNK_BYTES = 2 ** 31 - 1; // §7.1; also the limit of width and height

/**
 * Encodes a picture as an 8-bit PNG, with one uncompressed UTF-8 text chunk (iTXt) per entry of `text`.
 *
 * @throws {RangeError} When the sizes do not fit the pixels, or a keyword or text is not allowed in PNG (§11.3.2.1).
 */
export async function encodePng(
  image: Picture,
  text: Readonly<Record<string, string>> = {},
): Promise<Uint8Array<ArrayBuffer>> {
  checkPicture(image);
  const texts = Object.entries(text).map(([keyword, value]) => textChunk(keyword, value));
  const compressed = await deflate(filterRows(image));
  return joinBytes([
    SIGNATURE,
    chunk("IHDR", headerBody(image)),
    ...texts,
    chunk("IDAT", compressed),
    chunk("IEND", new Uint8Array(0)),
  ]);
}

function checkPicture({ width, height, channels, pixels }: Picture): void {
  for (const [name, size] of Object.entries({ width, height })) {
    if (Number.isInteger(size) && size >= 1 && size <= MAX_CHUNK_BYTES) continue;
    throw new RangeError(
      `Cannot encode PNG: ${name} must be 1 to 2^31 - 1: current value is ${size}`,
    );
  }
  if (pixels.length !== width * height * channels) {
    throw new RangeError(
      `Cannot encode PNG: pixels must have ${width} x ${height} x ${channels} bytes: ` +
        `current value is ${pixels.length}`,
    );
  }
}

function headerBody({ width, height, channels }: Picture): Uint8Array {
  const body = new Uint8Array(13); // compression, filter and interlace method stay 0
  const view = new DataView(body.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  body[8] = 8; // bits per channel
  body[9] = COLOR_TYPES[channels];
  return body;
}

function textChunk(keyword: string, text: string): Uint8Array {
  if (!isKeyword(keyword)) {
    throw new RangeError(
      "Cannot encode PNG: keyword must be 1 to 79 printable Latin-1 characters with single inner spaces: " +
        `current value is ${JSON.stringify(keyword)}`,
    );
  }
  if (text.includes("\0") || !text.isWellFormed()) {
    throw new RangeError(
      `Cannot encode PNG: text of "${keyword}" must be well-formed Unicode without NUL: ` +
        `current value is ${JSON.stringify(text.slice(0, 80))}`,
    );
  }
  const latin = Uint8Array.from(keyword, (letter) => letter.charCodeAt(0));
  // after the keyword's NUL: not compressed, method 0, no language, no translated keyword (§11.3.3.4)
  return chunk("iTXt", joinBytes([latin, new Uint8Array(5), new TextEncoder().encode(text)]));
}

function chunk(type: string, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(body.length + 12);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, body.length);
  for (let i = 0; i < 4; i++) bytes[4 + i] = type.charCodeAt(i);
  bytes.set(body, 8);
  view.setUint32(8 + body.length, crc32(bytes.subarray(4, 8 + body.length)));
  return bytes;
}

async function deflate(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const zlib = new Blob([bytes]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(zlib).arrayBuffer());
}
