/**
 * The text inside of PNG files.
 *
 * *Source:* PNG Specification, Third Edition (W3C, 2025); section numbers are its own.
 */

import { isKeyword, latin1, readChunks, unreadable } from "./png_chunk.ts";

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
