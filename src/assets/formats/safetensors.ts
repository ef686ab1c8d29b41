/**
 * Reading safetensors: a JSON header, then the numbers of every tensor.
 *
 * *Source:* safetensors format, version 1: 8-byte little-endian header length, header, data.
 */

import { AssetError } from "../../errors.ts";
import { elementCount, type Tensor } from "../../tensor/tensor.ts";
import { checkIndices, SAMPLE_WHOLE, sampleRuns } from "./element_samples.ts";
import { decodeIntegers, floatDecoder } from "./elements.ts";
import { type Header, parseHeader, type TensorEntry } from "./safetensors_header.ts";
import type { Source } from "../source.ts";
import { startHash } from "../store/content_hash.ts";

/** What a tensor's bytes are checked against while they are read, and how to stop. */
export interface ReadOptions {
  /** Lower-case hex sha256 of the stored bytes. */
  readonly sha256?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Headers above this size are refused, as by the format's own library: 100 MB. */
const HEADER_LIMIT = 100_000_000;

/**
 * Opens a file by reading its header only. The source stays the caller's, who closes it.
 *
 * @throws {AssetError} When it is absent, truncated, or its header is not what the format demands.
 */
export async function openSafetensors(source: Source, path: string): Promise<Safetensors> {
  const size = await source.size(path);
  if (size === undefined) {
    throw new AssetError(`Cannot open ${path}: it must exist in ${source.name}`);
  }
  if (size < 8) {
    throw new AssetError(
      `Cannot open ${path}: it must have at least 8 bytes: current value is ${size}`,
    );
  }
  const length = headerLength(await source.read(path, { offset: 0, length: 8 }));
  const limit = Math.min(HEADER_LIMIT, size - 8);
  if (length > limit) {
    throw new AssetError(
      `Cannot open ${path}: its header must have at most ${limit} bytes: current value is ${length}`,
    );
  }
  const header = await source.read(path, { offset: 8, length });
  const area = { path, dataBegin: 8 + length, dataEnd: size };
  return new Safetensors(source, path, parseHeader(header, area));
}

/** An opened file: what it holds is known, its numbers are read on demand. */
export class Safetensors implements Header {
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  /** What the file says of itself. */
  readonly metadata: ReadonlyMap<string, string>;

  /** `path` is the name of the file. */
  constructor(
    readonly source: Source,
    readonly path: string,
    { tensors, metadata }: Header,
  ) {
    this.tensors = tensors;
    this.metadata = metadata;
  }

  /**
   * Reads a tensor of floats, of 64 to 8 bits, as float32, in blocks: its stored bytes are never all held.
   *
   * @throws {AssetError} When it is absent, unreadable, of another type or not what was hashed.
   */
  async readFloat32(name: string, options: ReadOptions = {}): Promise<Tensor> {
    const entry = this.#entry(name);
    const { decode, width } = floatDecoder(name, entry.dtype);
    const data = new Float32Array(elementCount(entry.dims));
    await this.#readBlocks(name, options, (block, offset) => {
      const done = offset / width;
      decode(block, data.subarray(done, done + block.length / width));
    });
    return { dims: entry.dims, data };
  }

  /**
   * Reads the stored bytes of a tensor, whatever its type.
   *
   * @throws {AssetError} When it is absent, unreadable or not what was hashed.
   */
  async readBytes(name: string, options: ReadOptions = {}): Promise<Uint8Array> {
    const { begin, end } = this.#entry(name);
    const bytes = new Uint8Array(end - begin);
    await this.#readBlocks(name, options, (block, offset) => bytes.set(block, offset));
    return bytes;
  }

  /**
   * Reads an I32 or I64 tensor as numbers.
   *
   * @throws {AssetError} When it is absent, unreadable, of another type, or a number is not safe.
   */
  async readIntegers(name: string): Promise<number[]> {
    const entry = this.#entry(name);
    const numbers: number[] = [];
    for await (const block of this.source.stream(this.path, rangeOf(entry))) {
      for (const number of decodeIntegers(name, entry.dtype, block)) numbers.push(number);
    }
    return numbers;
  }

  /**
   * Reads single elements of a float tensor, by flat row-major index.
   *
   * @throws {RangeError} When an index is outside of the tensor.
   * @throws {AssetError} As `readFloat32()`.
   */
  async sample(name: string, indices: readonly number[]): Promise<Float32Array> {
    const entry = this.#entry(name);
    checkIndices(name, indices, elementCount(entry.dims));
    if (entry.end - entry.begin <= SAMPLE_WHOLE) {
      const { data } = await this.readFloat32(name);
      return Float32Array.from(indices, (index) => data[index]!); // checked just above
    }
    const { decode, width } = floatDecoder(name, entry.dtype);
    return await sampleRuns(indices, async (first, into) => {
      const range = { offset: entry.begin + first * width, length: into.length * width };
      decode(await this.source.read(this.path, range), into);
    });
  }

  /** Hands on the stored bytes block by block, and checks them. */
  async #readBlocks(
    name: string,
    options: ReadOptions,
    take: (block: Uint8Array, offset: number) => void,
  ): Promise<void> {
    const range = rangeOf(this.#entry(name));
    const hash = options.sha256 === undefined ? undefined : await startHash("sha256", range.length);
    let offset = 0;
    for await (const block of this.source.stream(this.path, range, options.signal)) {
      hash?.update(block);
      take(block, offset);
      offset += block.length;
    }
    const actual = hash?.hex();
    if (actual === options.sha256) return;
    throw new AssetError(
      `Cannot read ${name} of ${this.path}: its sha256 must be ${options.sha256}: ` +
        `current value is ${actual}`,
    );
  }

  #entry(name: string): TensorEntry {
    const entry = this.tensors.get(name);
    if (entry !== undefined) return entry;
    throw new AssetError(`Cannot read ${name}: it must be a tensor of ${this.path}`);
  }
}

function rangeOf({ begin, end }: TensorEntry): { offset: number; length: number } {
  return { offset: begin, length: end - begin };
}

function headerLength(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Number(view.getBigUint64(0, true));
}
