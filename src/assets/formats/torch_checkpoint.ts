/**
 * A PyTorch checkpoint, `.pt` or `.pth`: a zip with one pickle that describes tensors, and one stored entry
 * for each storage. Its directory and its pickle are read when it is opened; numbers when asked for.
 *
 * *Source:* PyTorch 2.13 `torch/serialization.py`, `_save()`.
 */

import { AssetError } from "../../errors.ts";
import { elementCount, type Tensor } from "../../tensor/tensor.ts";
import { checkIndices, SAMPLE_WHOLE, sampleRuns } from "./element_samples.ts";
import { DTYPE_BYTES } from "./safetensors_header.ts";
import { floatDecoder } from "./elements.ts";
import { describe } from "../json.ts";
import { unpickle } from "./pickle.ts";
import {
  isKind,
  kindOf,
  type PickleDict,
  type PickleTensor,
  type PickleValue,
} from "./pickle_values.ts";
import { fail } from "../read_errors.ts";
import type { ByteRange, Source } from "../source.ts";
import type { StoredWeights } from "../weights.ts";
import { locateEntry, readZipDirectory, type ZipEntry } from "./zip_directory.ts";

/** Largest `data.pkl`: 4 MiB. DiT-XL/2 with its optimizer has 0.3. */
const PICKLE_LIMIT = 1 << 22;
const BYTE_ORDER_LIMIT = 16;
const TAR_WORD_AT = 257;
const HEAD_BYTES = TAR_WORD_AT + 5;

/**
 * Opens a checkpoint: a state dict, or a training's dict whose `ema` is one, as DiT's `sample.py` takes it.
 * The source stays the caller's, who closes it.
 *
 * @param part What such a dict calls the wanted one; `ema` unless given.
 * @throws {AssetError} When it is absent, not a zip of PyTorch 1.6 or later, or holds what is not rebuilt.
 */
export async function openTorchCheckpoint(
  source: Source,
  path: string,
  { part = "ema" }: { readonly part?: string } = {},
): Promise<StoredWeights> {
  await expectZip(source, path);
  const entries = await readZipDirectory(source, path);
  const root = rootOf(entries, path);
  const read = async (name: string, limit: number): Promise<Uint8Array | undefined> => {
    const entry = entries.get(`${root}/${name}`);
    if (entry === undefined) return undefined;
    if (entry.size > limit) {
      fail(
        `${name} of ${path}`,
        `it must have at most ${limit} bytes: current value is ${entry.size}`,
      );
    }
    return await source.read(path, await locateEntry(source, path, entry));
  };
  const order = new TextDecoder().decode(await read("byteorder", BYTE_ORDER_LIMIT));
  if (order !== "" && order !== "little") {
    fail(path, `its byte order must be little: current value is ${describe(order)}`);
  }
  const pickle = await read("data.pkl", PICKLE_LIMIT);
  const dict = stateDict(unpickle(pickle!, `data.pkl of ${path}`), { path, part }); // its entry names the root
  const tensors = new Map(
    [...dict.entries].map(([name, value]) => stored(name, value, { entries, root, path })),
  );
  return new CheckpointWeights(source, path, tensors);
}

/** A tensor and the entry that its storage is in. */
interface StoredTensor extends PickleTensor {
  readonly entry: ZipEntry;
}

class CheckpointWeights implements StoredWeights {
  readonly names: ReadonlySet<string>;

  constructor(
    readonly source: Source,
    readonly path: string,
    readonly tensors: ReadonlyMap<string, StoredTensor>,
  ) {
    this.names = new Set(tensors.keys());
  }

  dims(name: string): readonly number[] | undefined {
    return this.tensors.get(name)?.dims;
  }

  dtype(name: string): string | undefined {
    return this.tensors.get(name)?.storage.dtype;
  }

  async read(name: string, signal?: AbortSignal): Promise<Tensor> {
    const view = this.#tensor(name);
    const { dims, offset } = view;
    const { decode, width } = floatDecoder(name, view.storage.dtype);
    const count = elementCount(dims);
    const span = count === 0 ? 0 : positionOf(count - 1, view) - offset + 1;
    const data = new Float32Array(span);
    const begin = await this.#begin(view);
    const range: ByteRange = { offset: begin + offset * width, length: span * width };
    let done = 0;
    for await (const block of this.source.stream(this.path, range, signal)) {
      decode(block, data.subarray(done, done + block.length / width));
      done += block.length / width;
    }
    if (isRowMajor(view)) return { dims, data };
    return {
      dims,
      data: Float32Array.from({ length: count }, (_, i) => data[positionOf(i, view) - offset]!), // in span
    };
  }

  async sample(name: string, indices: readonly number[]): Promise<Float32Array> {
    const view = this.#tensor(name);
    const { decode, width } = floatDecoder(name, view.storage.dtype);
    const count = elementCount(view.dims);
    checkIndices(name, indices, count);
    if (count * width <= SAMPLE_WHOLE) {
      const { data } = await this.read(name);
      return Float32Array.from(indices, (index) => data[index]!); // checked just above
    }
    const begin = await this.#begin(view);
    const read = async (index: number, into: Float32Array): Promise<void> => {
      const offset = begin + positionOf(index, view) * width;
      decode(await this.source.read(this.path, { offset, length: into.length * width }), into);
    };
    return await sampleRuns(indices, async (first, into) => {
      if (isRowMajor(view)) return await read(first, into);
      for (let i = 0; i < into.length; i++) await read(first + i, into.subarray(i, i + 1));
    });
  }

  /** Where the storage's bytes begin. */
  async #begin({ entry }: StoredTensor): Promise<number> {
    return (await locateEntry(this.source, this.path, entry)).offset;
  }

  #tensor(name: string): StoredTensor {
    const tensor = this.tensors.get(name);
    if (tensor !== undefined) return tensor;
    throw new AssetError(`Cannot read ${name}: it must be a tensor of ${this.path}`);
  }
}

/** Refuses by name what PyTorch wrote before it wrote zips. */
async function expectZip(source: Source, path: string): Promise<void> {
  const size = await source.size(path);
  if (size === undefined) {
    throw new AssetError(`Cannot open ${path}: it must exist in ${source.name}`);
  }
  const head = await source.read(path, { offset: 0, length: Math.min(HEAD_BYTES, size) });
  const word = (at: number, length: number): string =>
    String.fromCharCode(...head.subarray(at, at + length));
  if (word(0, 2) === "PK") return;
  const found = word(0, 1) === "\x80"
    ? "a bare pickle, the format before 1.6"
    : word(TAR_WORD_AT, 5) === "ustar"
    ? "a tar, the format before 0.1.10"
    : "something else";
  throw new AssetError(
    `Cannot open ${path}: it must be a zip, as torch.save writes since PyTorch 1.6: current value is ` +
      `${found}; PyTorch converts it: torch.save(torch.load(old, weights_only=True), new)`,
  );
}

/** The one folder that everything is in; its name was chosen when the file was saved. */
function rootOf(entries: ReadonlyMap<string, ZipEntry>, path: string): string {
  const roots = [...entries.keys()].flatMap((name) => /^([^/]+)\/data\.pkl$/.exec(name)?.[1] ?? []);
  if (roots.length === 1) return roots[0]!; // the only one
  throw new AssetError(
    `Cannot open ${path}: it must have one data.pkl, as torch.save writes: ` +
      `current value is ${roots.length}`,
  );
}

/** The weights of a checkpoint: averaged ones where it has them. *Source:* DiT `download.py`, `find_model()`. */
function stateDict(
  root: PickleValue,
  { path, part }: { readonly path: string; readonly part: string },
): PickleDict {
  const inner = isKind(root, "dict") ? root.entries.get(part) : undefined;
  const dict = isKind(inner, "dict") ? inner : root;
  if (isKind(dict, "dict")) return dict;
  throw new AssetError(
    `Cannot open ${path}: it must hold a dict of tensors: current value is ${kindOf(dict)}`,
  );
}

interface Archive {
  readonly entries: ReadonlyMap<string, ZipEntry>;
  readonly root: string;
  readonly path: string;
}

/** Proves that an entry of the state dict is a tensor whose storage is in the zip, in its full size. */
function stored(
  name: string | number,
  value: PickleValue,
  { entries, root, path }: Archive,
): readonly [string, StoredTensor] {
  if (typeof name === "number" || !isKind(value, "tensor")) {
    throw new AssetError(
      `Cannot open ${path}: its entry ${describe(name)} must be a tensor: current value is ` +
        `${kindOf(value)}; a training's checkpoint must have an entry ema`,
    );
  }
  const { key, count, dtype } = value.storage;
  const entry = entries.get(`${root}/data/${key}`);
  const size = count * DTYPE_BYTES.get(dtype)!; // of the types that pickles are let through
  if (entry?.size === size) return [name, { ...value, entry }];
  throw new AssetError(
    `Cannot open ${path}: storage ${describe(key)} of ${describe(name)} must have ${size} bytes: ` +
      `current value is ${entry?.size ?? "missing"}`,
  );
}

/** Whether the elements lie one after another, last dimension fastest. */
function isRowMajor({ dims, strides }: PickleTensor): boolean {
  let wanted = 1;
  for (let d = dims.length - 1; d >= 0; d--) {
    if (dims[d] !== 1 && strides[d] !== wanted) return false;
    wanted *= dims[d]!; // d < length
  }
  return true;
}

/** Index in the storage of an element, given by its flat row-major index. */
function positionOf(index: number, { dims, strides, offset }: PickleTensor): number {
  let [position, rest] = [offset, index];
  for (let d = dims.length - 1; d >= 0; d--) {
    const size = dims[d]!; // d < length; and both have one rank
    position += (rest % size) * strides[d]!;
    rest = Math.floor(rest / size);
  }
  return position;
}
