/**
 * PNG files: an encoder on the platform's own zlib stream, and a reader for the text inside.
 *
 * *Source:* PNG Specification, Third Edition (W3C, 2025); section numbers below are its own.
 *
 * @module
 */

import { AssetError } from "../errors.ts";
import { joinBytes } from "../tensor/bytes.ts";
import type { Picture } from "./picture.ts";
import { filterRows } from "./png_filter.ts";

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
const COLOR_TYPES = { 1: 0, 3: 2, 4: 6 } as const; // channels → color type, §11.2.1
const MAX_CHUNK_BYTES = 2 ** 31 - 1; // §7.1; also the limit of width and height
const MAX_TEXT_BYTES = 4 * 1024 * 1024; // ours: a repeated run needs some kB, a bomb gets no memory
const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => crcOfByte(byte));

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

/**
 * Reads the text of a PNG: keyword → text, from iTXt and tEXt chunks; of a repeated keyword the last counts.
 * Compressed text, which {@link encodePng} never writes, is passed over. Pixels are not decoded.
 *
 * @throws {AssetError} When the bytes are not an intact PNG, or hold more than 4 MiB of text.
 */
export function readPngText(bytes: Uint8Array): Record<string, string> {
  const texts: [keyword: string, text: string][] = [];
  let textBytes = 0;
  for (const { type, body } of readChunks(bytes)) {
    if (type !== "iTXt" && type !== "tEXt") continue;
    textBytes += body.length;
    if (textBytes > MAX_TEXT_BYTES) throw unreadable("text", `<= ${MAX_TEXT_BYTES} bytes`, "more");
    const entry = type === "tEXt" ? parseLatinText(body) : parseText(body);
    if (entry !== undefined) texts.push(entry);
  }
  return Object.fromEntries(texts);
}

// --- writing

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

/** §11.3.3.2: printable Latin-1, 1 to 79 long, no leading, trailing or doubled space. */
function isKeyword(keyword: string): boolean {
  return /^[\x20-\x7e\xa1-\xff]{1,79}$/.test(keyword) && !/^ | $| {2}/.test(keyword);
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

// --- reading

interface Chunk {
  readonly type: string;
  readonly body: Uint8Array;
}

/** Walks the chunks of an intact PNG: signature, IHDR first, checksums, IDAT present, IEND last. */
function* readChunks(bytes: Uint8Array): Generator<Chunk> {
  if (!SIGNATURE.every((byte, i) => bytes[i] === byte)) {
    throw unreadable("signature", "that of PNG", `[${bytes.slice(0, 8)}]`);
  }
  let hasPixels = false;
  let offset = SIGNATURE.length;
  for (let type = ""; type !== "IEND";) {
    const next = readChunk(bytes, offset);
    const isFirst = offset === SIGNATURE.length;
    if ((next.type === "IHDR") !== isFirst) throw unreadable("IHDR", "first", next.type);
    if (isFirst && next.body.length !== 13) throw unreadable("IHDR", "13 bytes", next.body.length);
    hasPixels ||= next.type === "IDAT";
    offset += next.body.length + 12;
    type = next.type;
    yield next;
  }
  if (!hasPixels) throw unreadable("IDAT", "present", "absent");
  if (offset !== bytes.length) throw unreadable("size", `${offset} bytes`, bytes.length);
}

function readChunk(bytes: Uint8Array, offset: number): Chunk {
  const rest = bytes.length - offset;
  if (rest < 12) throw unreadable("chunk", "12 bytes or more", rest);
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, rest);
  const length = view.getUint32(0);
  if (length > rest - 12) throw unreadable("chunk size", `<= ${rest - 12}`, length);
  const type = latin1(bytes.subarray(offset + 4, offset + 8));
  if (!/^[A-Za-z]{4}$/.test(type)) {
    throw unreadable("chunk type", "4 letters", JSON.stringify(type));
  }
  const crc = crc32(bytes.subarray(offset + 4, offset + 8 + length));
  const stored = view.getUint32(8 + length);
  if (crc !== stored) throw unreadable(`checksum of ${type}`, crc, stored);
  return { type, body: bytes.subarray(offset + 8, offset + 8 + length) };
}

function parseLatinText(body: Uint8Array): [keyword: string, text: string] {
  const { keyword, rest } = splitKeyword(body);
  return [keyword, latin1(rest)];
}

/** iTXt, §11.3.3.4; `undefined` when it is compressed. */
function parseText(body: Uint8Array): [keyword: string, text: string] | undefined {
  const { keyword, rest } = splitKeyword(body);
  const languageEnd = rest.indexOf(0, 2);
  const translatedEnd = rest.indexOf(0, languageEnd + 1);
  if (languageEnd < 0 || translatedEnd < 0) throw unreadable("iTXt", "three NULs", "fewer");
  if (rest[0] !== 0) return undefined;
  try {
    const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    return [keyword, utf8.decode(rest.subarray(translatedEnd + 1))];
  } catch (cause) {
    throw unreadable(`text of "${keyword}"`, "UTF-8", "other bytes", { cause });
  }
}

function splitKeyword(body: Uint8Array): { readonly keyword: string; readonly rest: Uint8Array } {
  const end = body.indexOf(0);
  const keyword = latin1(body.subarray(0, Math.min(Math.max(end, 0), 80)));
  if (!isKeyword(keyword)) throw unreadable("keyword", "one of PNG", JSON.stringify(keyword));
  return { keyword, rest: body.subarray(end + 1) };
}

/** Not `TextDecoder("latin1")`: that label means windows-1252. */
function latin1(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

function unreadable(
  what: string,
  wanted: string | number,
  value: string | number,
  options?: ErrorOptions,
): AssetError {
  return new AssetError(
    `Cannot read PNG: ${what} must be ${wanted}: current value is ${value}`,
    options,
  );
}

// --- checksum, annex D

function crcOfByte(byte: number): number {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? 0xedb88320 ^ (crc >>> 1) : crc >>> 1;
  return crc;
}

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = CRC_TABLE[(crc ^ byte) & 0xff]! ^ (crc >>> 8);
  return ~crc >>> 0;
}
