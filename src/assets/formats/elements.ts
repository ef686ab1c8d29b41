/**
 * Stored elements of a tensor to numbers. All our hosts are little-endian, as the format is.
 */

import { AssetError } from "../../errors.ts";
import {
  decodeBfloat16,
  decodeFloat16,
  decodeFloat8E4m3,
  decodeFloat8E5m2,
} from "../../tensor/half.ts";

/** Fills a float32 array of the right length from stored bytes. */
export interface FloatDecoder {
  readonly width: number;
  /** Decodes whole elements; `into` has as many numbers. */
  readonly decode: (bytes: Uint8Array, into: Float32Array) => void;
}

const DECODERS: ReadonlyMap<string, FloatDecoder> = new Map([
  ["F64", { width: 8, decode: decodeFloat64 }],
  ["F32", { width: 4, decode: decodeFloat32 }],
  ["F16", { width: 2, decode: decodeFloat16 }],
  ["BF16", { width: 2, decode: decodeBfloat16 }],
  ["F8_E4M3", { width: 1, decode: decodeFloat8E4m3 }],
  ["F8_E5M2", { width: 1, decode: decodeFloat8E5m2 }],
]);

/**
 * How a float type is decoded.
 *
 * @throws {AssetError} When it is not one of theirs.
 */
export function floatDecoder(name: string, dtype: string): FloatDecoder {
  const decoder = DECODERS.get(dtype);
  if (decoder !== undefined) return decoder;
  throw new AssetError(
    `Cannot read ${name}: its dtype must be one of ${[...DECODERS.keys()].join(", ")}: ` +
      `current value is ${dtype}`,
  );
}

/**
 * Decodes I64 or I32 elements.
 *
 * @throws {AssetError} When the type is another, or a number is beyond 2^53 − 1.
 */
export function decodeIntegers(name: string, dtype: string, bytes: Uint8Array): number[] {
  const aligned = bytes.slice().buffer;
  if (dtype === "I32") return Array.from(new Int32Array(aligned));
  if (dtype === "I64") {
    return Array.from(new BigInt64Array(aligned), (big) => safeNumber(name, big));
  }
  throw new AssetError(
    `Cannot read ${name}: its dtype must be I64 or I32: current value is ${dtype}`,
  );
}

function safeNumber(name: string, big: bigint): number {
  const number = Number(big);
  if (Number.isSafeInteger(number)) return number;
  throw new AssetError(
    `Cannot read ${name}: its numbers must be safe integers: current value is ${big}`,
  );
}

/** Rounds to nearest. */
function decodeFloat64(bytes: Uint8Array, into: Float32Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let i = 0; i < into.length; i++) into[i] = view.getFloat64(8 * i, true);
}

function decodeFloat32(bytes: Uint8Array, into: Float32Array): void {
  new Uint8Array(into.buffer, into.byteOffset, into.byteLength).set(bytes);
}
