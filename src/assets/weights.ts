/**
 * The weights of a model as its builder sees them: names, shapes, numbers on demand.
 */

import { AssetError } from "../errors.ts";
import type { QuantizedMatrix } from "../tensor/quantize.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Safetensors } from "./formats/safetensors.ts";

/** Named tensors whose numbers are read one tensor at a time, when they are asked for. */
export interface Weights {
  readonly names: ReadonlySet<string>;
  /** Shape of a tensor; `undefined` when it is absent. */
  dims(name: string): readonly number[] | undefined;
  /**
   * Reads a tensor as float32, which is the caller's from then on; checked against its sha256 where the model has one.
   *
   * @throws {AssetError} When it is absent, unreadable, not of a float type, or not what was hashed.
   */
  read(name: string, signal?: AbortSignal): Promise<Tensor>;
  /**
   * Reads single elements, by flat row-major index, without reading a large tensor whole; not hashed.
   *
   * @throws {RangeError} When an index is outside of the tensor.
   * @throws {AssetError} When it is absent, unreadable or not of a float type.
   */
  sample(name: string, indices: readonly number[]): Promise<Float32Array>;
  /** Matrices that are stored in integers; absent where all are floats. `read()` gives what they stand for. */
  readonly quantized?: QuantizedWeights;
}

/** Weights as their files have them. */
export interface StoredWeights extends Weights {
  /** Element type of a tensor, in the words of safetensors; `undefined` when it is absent. */
  dtype(name: string): string | undefined;
}

/** Matrices that a file has in integers. */
export interface QuantizedWeights {
  /** To what they were rounded. */
  readonly precision: "int8" | "int4";
  /** Layers compute in float32 unless a run asks for integers. */
  readonly arithmetic?: "f32";
  /** Their names; all other tensors are floats. */
  readonly names: ReadonlySet<string>;
  /** Reads one as it is. @throws {AssetError} As {@link Weights.read}. */
  read(name: string, signal?: AbortSignal): Promise<QuantizedMatrix>;
}

/**
 * The weights in one file.
 *
 * @param hashes Lower-case hex sha256 of the stored bytes of every tensor.
 * @throws {AssetError} When hashes are given and do not cover exactly the tensors of the file.
 */
export function fileWeights(
  file: Safetensors,
  hashes?: ReadonlyMap<string, string>,
): StoredWeights {
  if (hashes !== undefined) checkCover(file, hashes);
  return {
    names: new Set(file.tensors.keys()),
    dims: (name) => file.tensors.get(name)?.dims,
    dtype: (name) => file.tensors.get(name)?.dtype,
    sample: (name, indices) => file.sample(name, indices),
    read: (name, signal) => file.readFloat32(name, { sha256: hashes?.get(name), signal }),
  };
}

function checkCover({ path, tensors }: Safetensors, hashes: ReadonlyMap<string, string>): void {
  for (const name of hashes.keys()) {
    if (tensors.has(name)) continue;
    throw new AssetError(`Cannot use ${path}: tensor ${name} must be there: model.json hashes it`);
  }
  for (const name of tensors.keys()) {
    if (hashes.has(name)) continue;
    throw new AssetError(`Cannot use ${path}: tensor ${name} must have a sha256 in model.json`);
  }
}
