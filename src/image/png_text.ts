/**
 * The text inside of PNG files.
 *
 * *Source:* PNG Specification, Third Edition (W3C, 2025); section numbers are its own.
 */

import { AssetError } from "../errors.ts";
import { crc32, isKeyword, SIGNATURE } from "./png_chunk.ts";

const MAX_TEXT_BYTES = 4 * 1024 * 1024; // ours: a repeated run needs some kB, a bomb gets no memory

/**
 * Reads the text of a PNG: keyword → text, from iTXt and tEXt chunks; of a repeated keyword the last counts.
 * Compressed text, which `encodePng()` never writes, is passed over. Pixels are not decoded.
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
