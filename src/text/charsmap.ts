/**
 * SentencePiece's compiled normalization: what T5 does to a text before it is split.
 *
 * A table from UTF-8 to UTF-8, kept as a double-array trie, with the texts that it leads to behind it. All
 * of a text is looked up, cluster by cluster, then character by character.
 *
 * _Source:_ the crates spm_precompiled 0.1.4 and tokenizers 0.23 (`normalizers/precompiled.rs`).
 */

import { AssetError } from "../errors.ts";

/** Clusters of as many bytes of UTF-8 or more are looked up by character only. */
const LONG_CLUSTER = 6;

/**
 * Makes a function of a table in base 64.
 *
 * @throws {AssetError} When it is damaged.
 */
export function charsmap(base64: string): (text: string) => string {
  const { units, texts } = parse(base64);
  const clusters = new Intl.Segmenter("en", { granularity: "grapheme" });
  const encoder = new TextEncoder();
  const find = (part: string): string | undefined => {
    const place = lookUp(units, encoder.encode(part));
    return place === undefined ? undefined : textAt(texts, place);
  };
  const byCharacter = (cluster: string): string =>
    Array.from(cluster, (character) => find(character) ?? character).join("");
  const replace = (cluster: string): string => {
    const isShort = encoder.encode(cluster).length < LONG_CLUSTER;
    return (isShort ? find(cluster) : undefined) ?? byCharacter(cluster);
  };
  return (text) => Array.from(clusters.segment(text), ({ segment }) => replace(segment)).join("");
}

function parse(
  base64: string,
): { readonly units: Uint32Array; readonly texts: Uint8Array } {
  const bytes = decode(base64);
  const size = bytes.length < 4 ? NaN : new DataView(bytes.buffer).getUint32(0, true);
  if (!(size % 4 === 0 && size > 0 && 4 + size <= bytes.length)) {
    throw new AssetError(
      `Cannot read precompiled_charsmap: it must hold the table that its first number states: ` +
        `current value is ${bytes.length} bytes`,
    );
  }
  const view = new DataView(bytes.buffer, 4, size);
  const units = Uint32Array.from({ length: size / 4 }, (_, i) => view.getUint32(4 * i, true));
  return { units, texts: bytes.subarray(4 + size) };
}

function decode(base64: string): Uint8Array<ArrayBuffer> {
  try {
    return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  } catch (cause) {
    throw new AssetError("Cannot read precompiled_charsmap: it must be text in base 64", { cause });
  }
}

/** Where the text for the shortest known beginning of the key is; `undefined` where none is known. */
function lookUp(units: Uint32Array, key: Uint8Array): number | undefined {
  let place = offsetOf(units[0]!);
  for (const byte of key) {
    if (byte === 0) return undefined;
    place ^= byte;
    const unit = units[place];
    if (unit === undefined || (unit & 0x8000_00ff) !== byte) return undefined;
    place ^= offsetOf(unit);
    if ((unit >>> 8 & 1) === 1) return (units[place] ?? 0) & 0x7fff_ffff;
  }
  return undefined;
}

function offsetOf(unit: number): number {
  return unit >>> 10 << ((unit & 0x200) >>> 6);
}

/** The text at a place, which ends with a zero. */
function textAt(texts: Uint8Array, place: number): string {
  const end = texts.indexOf(0, place);
  return new TextDecoder().decode(texts.subarray(place, end < 0 ? texts.length : end));
}
