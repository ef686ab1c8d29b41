/**
 * What kind of picture some bytes are, and how large, before anything is decoded.
 *
 * *Source:* PNG (W3C, 2025) §11.2.1; JPEG, ITU-T T.81 annex B; WebP, RFC 9649.
 */

import { AssetError } from "../errors.ts";
import { SIGNATURE } from "./png_chunk.ts";

/** Kinds of files that pictures are read from. */
export type PictureFormat = "png" | "jpeg" | "webp";

/** The kind and size of a picture; a JPEG's as stored, before it is turned upright. */
export interface PictureHeader {
  readonly format: PictureFormat;
  readonly width: number;
  readonly height: number;
}

/**
 * Reads the header of a PNG, JPEG or WebP.
 *
 * @throws {AssetError} When the bytes are none of these, or end before the size.
 */
function readPictureHeader(bytes: Uint8Array): PictureHeader {
  const format = formatOf(bytes);
  if (format === undefined) {
    throw new AssetError(
      `Cannot read picture: it must be PNG, JPEG or WebP: current value is ${describe(bytes)}`,
    );
  }
  const size = SIZES[format](bytes);
  if (size !== undefined && size[0] > 0 && size[1] > 0) {
    return { format, width: size[0], height: size[1] };
  }
  throw new AssetError(
    `Cannot read picture: ${NAMES[format]} must have a size: current value is none`,
  );
}

/** Pixels from which on a picture is refused before it is decoded: 100 million. */
const PIXEL_LIMIT = 100e6;

/**
 * As {@linkcode readPictureHeader}, of a picture that may be decoded.
 *
 * @throws {RangeError} When it has as many pixels as the limit, or more.
 */
export function readHeaderWithin(bytes: Uint8Array, pixelLimit = PIXEL_LIMIT): PictureHeader {
  const header = readPictureHeader(bytes);
  const { width, height } = header;
  if (width * height < pixelLimit) return header;
  throw new RangeError(
    `Cannot read picture: it must have less than ${pixelLimit / 1e6} megapixels: ` +
      `current value is ${width} × ${height}`,
  );
}

/** As people call them. */
export const NAMES: Readonly<Record<PictureFormat, string>> = {
  png: "PNG",
  jpeg: "JPEG",
  webp: "WebP",
};

type Size = readonly [width: number, height: number];

const SIZES: Readonly<Record<PictureFormat, (bytes: Uint8Array) => Size | undefined>> = {
  png: pngSize,
  jpeg: jpegSize,
  webp: webpSize,
};

function formatOf(bytes: Uint8Array): PictureFormat | undefined {
  if (SIGNATURE.every((byte, i) => bytes[i] === byte)) return "png";
  if (bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff) return "jpeg";
  if (ascii(bytes, 0, 4) === "RIFF" && ascii(bytes, 8, 12) === "WEBP") return "webp";
  return undefined;
}

/** Other kinds of files, for messages: what they have at which place. */
const OTHERS: readonly (readonly [name: string, at: number, text: string])[] = [
  ["GIF", 0, "GIF8"],
  ["BMP", 0, "BM"],
  ["TIFF", 0, "II*\0"],
  ["TIFF", 0, "MM\0*"],
  ["AVIF", 8, "avif"],
  ["HEIC", 8, "heic"],
  ["JPEG XL", 4, "JXL "],
  ["SVG", 0, "<svg"],
];

function describe(bytes: Uint8Array): string {
  if (bytes.length === 0) return "an empty file";
  const known = OTHERS.find(([, at, text]) => ascii(bytes, at, at + text.length) === text);
  return known?.[0] ?? `bytes [${bytes.slice(0, 8)}]`;
}

function pngSize(bytes: Uint8Array): Size | undefined {
  if (bytes.length < 24 || ascii(bytes, 12, 16) !== "IHDR") return undefined;
  const view = viewOf(bytes);
  return [view.getUint32(16), view.getUint32(20)];
}

function jpegSize(bytes: Uint8Array): Size | undefined {
  const at = frameOf(bytes);
  if (at === undefined) return undefined;
  const view = viewOf(bytes);
  return [view.getUint16(at + 7), view.getUint16(at + 5)];
}

/**
 * Whether a JPEG has its end: decoders paint what is missing of one that was cut. Coded pixels contain no marker, and
 * a thumbnail with its own end lies before the frame.
 */
export function endsAsJpeg(bytes: Uint8Array): boolean {
  const frame = frameOf(bytes) ?? bytes.length;
  for (let at = bytes.length - 2; at > frame; at--) {
    if (bytes[at] === 0xff && bytes[at + 1] === 0xd9) return true;
  }
  return false;
}

/** Walks the segments to the frame's header. */
function frameOf(bytes: Uint8Array): number | undefined {
  const view = viewOf(bytes);
  for (let at = 2; at + 9 <= bytes.length;) {
    if (bytes[at] !== 0xff) return undefined;
    const marker = bytes[at + 1]!;
    if (marker === 0xff) { // fills
      at++;
    } else if (isFrame(marker)) {
      return at;
    } else {
      at += 2 + view.getUint16(at + 2);
    }
  }
  return undefined;
}

/** SOF0 … SOF15, without DHT, JPG and DAC, which lie among them. */
function isFrame(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
}

function webpSize(bytes: Uint8Array): Size | undefined {
  if (bytes.length < 30) return undefined;
  const view = viewOf(bytes);
  switch (ascii(bytes, 12, 16)) {
    case "VP8X":
      return [24, 27].map((at) => 1 + (view.getUint32(at - 1, true) >>> 8)) as [number, number]; // two
    case "VP8L": {
      const bits = view.getUint32(21, true);
      return [1 + (bits & 0x3fff), 1 + (bits >>> 14 & 0x3fff)];
    }
    case "VP8 ":
      return [view.getUint16(26, true) & 0x3fff, view.getUint16(28, true) & 0x3fff];
  }
  return undefined;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function ascii(bytes: Uint8Array, from: number, to: number): string {
  return String.fromCharCode(...bytes.subarray(from, to));
}
