/**
 * Reading safetensors: a JSON header, then the numbers of every tensor.
 *
 * *Source:* safetensors format, version 1: 8-byte little-endian header length, header, data.
 *
 * @module
 */

import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import { AssetError } from "../errors.ts";
import { decodeBfloat16, decodeFloat16 } from "../tensor/half.ts";
import { elementCount, type Tensor } from "../tensor/tensor.ts";
import { parseHeader, type TensorEntry } from "./safetensors_header.ts";
import type { Source } from "./source.ts";

export type { TensorEntry } from "./safetensors_header.ts";

/** An opened file: what it holds is known, its numbers are read on demand. */
export interface Safetensors {
  /** Name of the file. */
  readonly path: string;
  /** Its tensors by name. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  /** Reads a float tensor as float32, and checks the sha256 of its bytes if one is given. */
  readFloat32(name: string, sha256?: string): Promise<Tensor>;
  /** Reads an I32 or I64 tensor as numbers. */
  readIntegers(name: string): Promise<number[]>;
  /** Reads single elements of a float tensor, by flat index. */
  sample(name: string, indices: readonly number[]): Promise<Float32Array>;
}

/** Headers above this size are refused, as by the format's own library. */
const HEADER_LIMIT = 100 << 20;
const CHUNK = 1 << 20;
/** A tensor up to this size is read whole when it is sampled. */
const SAMPLE_WHOLE = 1 << 16;

/**
 * Opens a file by reading its header only.
 *
 * @throws {AssetError} When it is absent, truncated, or its header is not what the format demands.
 */
export async function openSafetensors(source: Source, path: string): Promise<Safetensors> {
  const size = await source.size(path);
  if (size === undefined) {
    throw new AssetError(`Cannot open ${path}: it must exist in ${source.name}`);
  }
  const length = size < 8 ? NaN : headerLength(await source.read(path, 0, 8));
  if (!(length <= Math.min(HEADER_LIMIT, size - 8))) {
    throw new AssetError(
      `Cannot open ${path}: its header must fit in the file (${size} bytes): ` +
        `current value is ${length} bytes`,
    );
  }
  const header = new TextDecoder().decode(await source.read(path, 8, length));
  const tensors = parseHeader(header, { path, dataBegin: 8 + length, dataEnd: size });
  return new SafetensorsFile(source, path, tensors);
}

class SafetensorsFile implements Safetensors {
  constructor(
    readonly source: Source,
    readonly path: string,
    readonly tensors: ReadonlyMap<string, TensorEntry>,
  ) {}

  async readFloat32(name: string, wanted?: string): Promise<Tensor> {
    const entry = this.#entry(name);
    const decode = this.#decoder(name, entry);
    const data = new Float32Array(elementCount(entry.dims));
    const hash = wanted === undefined ? undefined : sha256.create();
    const width = (entry.end - entry.begin) / Math.max(1, data.length);
    for (let at = entry.begin; at < entry.end; at += CHUNK) {
      const bytes = await this.source.read(this.path, at, Math.min(CHUNK, entry.end - at));
      hash?.update(bytes);
      const first = (at - entry.begin) / width;
      decode(bytes, data.subarray(first, first + bytes.length / width));
    }
    if (hash !== undefined) expectHash(name, bytesToHex(hash.digest()), wanted);
    return { dims: entry.dims, data };
  }

  async readIntegers(name: string): Promise<number[]> {
    const entry = this.#entry(name);
    if (entry.dtype !== "I64" && entry.dtype !== "I32") {
      throw new AssetError(
        `Cannot read ${name}: its dtype must be I64 or I32: current value is ${entry.dtype}`,
      );
    }
    const bytes = await this.source.read(this.path, entry.begin, entry.end - entry.begin);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return Array.from(
      { length: elementCount(entry.dims) },
      (_, i) =>
        entry.dtype === "I64" ? Number(view.getBigInt64(8 * i, true)) : view.getInt32(4 * i, true),
    );
  }

  async sample(name: string, indices: readonly number[]): Promise<Float32Array> {
    const entry = this.#entry(name);
    const decode = this.#decoder(name, entry);
    if (entry.end - entry.begin <= SAMPLE_WHOLE) {
      const { data } = await this.readFloat32(name);
      return Float32Array.from(indices, (index) => data[index] ?? NaN);
    }
    const width = (entry.end - entry.begin) / elementCount(entry.dims);
    const samples = new Float32Array(indices.length);
    await Promise.all(indices.map(async (index, i) => {
      const bytes = await this.source.read(this.path, entry.begin + index * width, width);
      decode(bytes, samples.subarray(i, i + 1));
    }));
    return samples;
  }

  #entry(name: string): TensorEntry {
    const entry = this.tensors.get(name);
    if (entry === undefined) {
      throw new AssetError(`Cannot read ${name}: it must be in ${this.path}`);
    }
    return entry;
  }

  #decoder(name: string, { dtype }: TensorEntry): (bytes: Uint8Array, into: Float32Array) => void {
    if (dtype === "F16") return decodeFloat16;
    if (dtype === "BF16") return decodeBfloat16;
    if (dtype === "F32") return decodeFloat32;
    throw new AssetError(
      `Cannot read ${name}: its dtype must be F32, F16 or BF16: current value is ${dtype}`,
    );
  }
}

function headerLength(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Number(view.getBigUint64(0, true));
}

function decodeFloat32(bytes: Uint8Array, into: Float32Array): void {
  new Uint8Array(into.buffer, into.byteOffset, into.byteLength).set(bytes); // all our hosts are LE
}

function expectHash(name: string, actual: string, wanted: string | undefined): void {
  if (actual === wanted) return;
  throw new AssetError(
    `Cannot read ${name}: its sha256 must be ${wanted}: current value is ${actual}`,
  );
}
