/**
 * What PNG writing and reading share: the signature, chunks, keywords of text, checksums.
 *
 * *Source:* PNG Specification, Third Edition (W3C, 2025); section numbers are its own.
 */

import { AssetError } from "../errors.ts";

/** The first bytes of every PNG, §5.2. */
export const SIGNATURE: Uint8Array = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => crcOfByte(byte));

/** §11.3.3.2: printable Latin-1, 1 to 79 long, no leading, trailing or doubled space. */
export function isKeyword(keyword: string): boolean {
  return /^[\x20-\x7e\xa1-\xff]{1,79}$/.test(keyword) && !/^ | $| {2}/.test(keyword);
}

/** The checksum of a chunk's type and body, annex D. */
export function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) crc = CRC_TABLE[(crc ^ bytes[i]!) & 0xff]! ^ (crc >>> 8);
  return ~crc >>> 0;
}

function crcOfByte(byte: number): number {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? 0xedb88320 ^ (crc >>> 1) : crc >>> 1;
  return crc;
}

/** A part of a file, its type 4 letters. */
export interface Chunk {
  readonly type: string;
  readonly body: Uint8Array;
}

/** Walks the chunks of an intact PNG: signature, IHDR first, checksums, IDAT present, IEND last. */
export function* readChunks(bytes: Uint8Array): Generator<Chunk> {
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

/** Not `TextDecoder("latin1")`: that label means windows-1252. */
export function latin1(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

/** The error of a PNG that is not as it must be. */
export function unreadable(
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
