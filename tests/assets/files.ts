/** What the tests of this folder share: small safetensors files, and sources that count. */

import {
  encodeSafetensors,
  type WritableTensor,
} from "../../src/assets/formats/safetensors_writer.ts";
import { joinBytes } from "../../src/tensor/bytes.ts";
import { type ByteRange, openMemory, type Source } from "../../src/assets/source.ts";

/** A whole file in memory. */
export function file(tensors: Readonly<Record<string, WritableTensor>>): Uint8Array<ArrayBuffer> {
  return joinBytes([...encodeSafetensors(new Map(Object.entries(tensors)))]);
}

/** A file of the given header text, behind its true length. */
export function fileOf(header: string, dataBytes = 0): Uint8Array<ArrayBuffer> {
  const json = new TextEncoder().encode(header);
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(json.length), true);
  return joinBytes([length, json, new Uint8Array(dataBytes)]);
}

/** Numbers with all kinds of fractions, the same on every call. */
export function ramp(count: number, scale = 0.01): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => ((i * 7919) % 1009 - 504) * scale);
}

/** A source in memory of one file, and the ranges that were read from it. */
export function counting(
  path: string,
  bytes: Uint8Array,
): { readonly source: Source; readonly reads: ByteRange[] } {
  const inner = openMemory(new Map([[path, bytes]]));
  const reads: ByteRange[] = [];
  const source: Source = {
    ...inner,
    read: (name, range) => {
      reads.push(range);
      return inner.read(name, range);
    },
    stream: (name, range, signal) => {
      reads.push(range);
      return inner.stream(name, range, signal);
    },
  };
  return { source, reads };
}
