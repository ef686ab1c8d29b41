/**
 * Writing safetensors.
 *
 * *Source:* safetensors format, version 1: 8-byte little-endian header length, header, data.
 */

import { encodeFloat16 } from "../../tensor/half.ts";
import { elementCount } from "../../tensor/tensor.ts";

/** Element types that are written. */
export type WritableType = "F32" | "F16" | "I64" | "I8" | "U8";

/** A tensor to write; float16 is rounded to nearest, ties to even. */
export type WritableTensor =
  | {
    readonly dtype?: "F32" | "F16";
    readonly dims: readonly number[];
    readonly data: Float32Array;
  }
  | { readonly dtype: "I64"; readonly dims: readonly number[]; readonly data: readonly number[] }
  | {
    readonly dtype: "I8" | "U8";
    readonly dims: readonly number[];
    readonly data: Int8Array | Uint8Array;
  };

/** Type and shape of a tensor to write. */
export interface TensorLayout {
  readonly dtype: WritableType;
  readonly dims: readonly number[];
}

const BYTES: Readonly<Record<WritableType, number>> = { I64: 8, F32: 4, F16: 2, I8: 1, U8: 1 };

/**
 * A file in parts: the header, then one part for each tensor, made when it is asked for. Wide types
 * come first, so that every tensor is aligned to its elements.
 *
 * @throws {RangeError} When a tensor's data are not as many as its shape says.
 */
export function* encodeSafetensors(
  tensors: ReadonlyMap<string, WritableTensor>,
  metadata?: Readonly<Record<string, string>>,
): Generator<Uint8Array<ArrayBuffer>> {
  const sorted = [...tensors].sort(([a, x], [b, y]) =>
    BYTES[typeOf(y)] - BYTES[typeOf(x)] || (a < b ? -1 : 1)
  );
  for (const [name, tensor] of sorted) checkCount(name, tensor);
  yield encodeHeader(
    new Map(sorted.map(([name, tensor]) => [name, { dtype: typeOf(tensor), dims: tensor.dims }])),
    metadata,
  );
  for (const [, tensor] of sorted) yield encodeNumbers(tensor);
}

/**
 * Length and header of a file whose tensors follow in the given order, one directly after the other.
 * Padded with spaces, so that the first tensor begins at a multiple of 8.
 */
export function encodeHeader(
  layout: ReadonlyMap<string, TensorLayout>,
  metadata?: Readonly<Record<string, string>>,
): Uint8Array<ArrayBuffer> {
  const entries: [string, unknown][] = metadata === undefined ? [] : [["__metadata__", metadata]];
  let end = 0;
  for (const [name, { dtype, dims }] of layout) {
    const begin = end;
    end += elementCount(dims) * BYTES[dtype];
    entries.push([name, { dtype, shape: dims, data_offsets: [begin, end] }]);
  }
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)));
  const bytes = new Uint8Array(8 + Math.ceil(json.length / 8) * 8).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(bytes.length - 8), true);
  bytes.set(json, 8);
  return bytes;
}

function typeOf(tensor: WritableTensor): WritableType {
  return tensor.dtype ?? "F32";
}

function checkCount(name: string, { dims, data }: WritableTensor): void {
  if (elementCount(dims) === data.length) return;
  throw new RangeError(
    `Cannot write ${name}: it must have ${elementCount(dims)} numbers: ` +
      `current value is ${data.length}`,
  );
}

/** The stored bytes of a tensor. */
export function encodeNumbers(tensor: WritableTensor): Uint8Array<ArrayBuffer> {
  switch (tensor.dtype) {
    case "I64":
      return new Uint8Array(BigInt64Array.from(tensor.data, BigInt).buffer);
    case "F16":
      return encodeFloat16(tensor.data);
    default:
      return new Uint8Array(tensor.data.slice().buffer);
  }
}
