/**
 * Weights of which some tensors are stored in integers, each with its scales beside it.
 *
 * Of a tensor `X` in 8 bits, `X` is I8 with its first axis last, and `X.scale` F32 has a scale for each of that axis:
 * of a matrix `(in, out)`, as kernels take it, of a convolution's weights `(in, height, width, out)`, of a table
 * `(width, rows)`. Of a matrix in 4 bits `X` is U8 `(out, in / 32, 16)` and `X.scale` F32 `(out · in / 32)`.
 * All other tensors are floats.
 */

import { AssetError } from "../../errors.ts";
import { discard, elementCount } from "../../tensor/tensor.ts";
import { BLOCK, dequantize, type QuantizedMatrix, scaleName } from "../../tensor/quantize.ts";
import { checkIndices } from "./element_samples.ts";
import type { Safetensors } from "./safetensors.ts";
import type { TensorEntry } from "./safetensors_header.ts";
import { fileWeights, type QuantizedWeights, type Weights } from "../weights.ts";

/** What is said of a packed file outside of it. */
export interface PackedFacts extends Pick<QuantizedWeights, "precision" | "arithmetic"> {
  /** Lower-case hex sha256 of the stored bytes of every tensor. */
  readonly hashes: ReadonlyMap<string, string>;
}

/**
 * The weights of a packed file. `read()` of a tensor in integers gives what they stand for.
 *
 * @throws {AssetError} When a tensor has another type than the precision's, or its scales are not beside it.
 */
export function packedWeights(
  file: Safetensors,
  { precision, hashes, arithmetic }: PackedFacts,
): Weights {
  const stored = fileWeights(file, hashes);
  const shapes = integerShapes(file, precision);
  const readMatrix: QuantizedWeights["read"] = async (name, signal) => {
    const scale = scaleName(name); // every tensor of the file has a hash
    const bytes = await file.readBytes(name, { sha256: hashes.get(name), signal });
    const scales = await file.readFloat32(scale, { sha256: hashes.get(scale), signal });
    const [out, ...rest] = shapes.get(name)!; // asked of those only
    return {
      bits: precision === "int8" ? 8 : 4,
      dims: [out, elementCount(rest)],
      values: precision === "int8" ? new Int8Array(bytes.buffer) : bytes,
      scales: scales.data,
    };
  };
  const scales = new Set([...shapes.keys()].map(scaleName));
  const read: Weights["read"] = async (name, signal) => {
    const dims = shapes.get(name);
    if (dims === undefined) return await stored.read(name, signal);
    const matrix = await readMatrix(name, signal);
    const { data } = dequantize(matrix);
    discard(matrix.values);
    return { dims, data };
  };
  return {
    names: new Set([...stored.names].filter((name) => !scales.has(name))),
    dims: (name) => shapes.get(name) ?? stored.dims(name),
    read,
    sample: async (name, indices) => {
      const dims = shapes.get(name);
      if (dims === undefined) return await stored.sample(name, indices);
      checkIndices(name, indices, elementCount(dims));
      const elements = elementsOf(await readMatrix(name));
      return Float32Array.from(indices, elements);
    },
    quantized: {
      precision,
      names: new Set(shapes.keys()),
      read: readMatrix,
      ...(arithmetic !== undefined && { arithmetic }),
    },
  };
}

/** What single integers of a matrix stand for, by flat index: of a table only some rows are asked for at a time. */
function elementsOf(matrix: QuantizedMatrix): (index: number) => number {
  if (matrix.bits === 4) {
    const { data } = dequantize(matrix);
    return (index) => data[index]!; // checked
  }
  const { dims: [out, width], values, scales } = matrix;
  return (index) => {
    const row = Math.floor(index / width);
    return values[(index - row * width) * out + row]! * scales[row]!; // checked
  };
}

type Shape = readonly [out: number, ...rest: number[]];

/** Shapes of all that is stored in integers. */
function integerShapes(
  file: Safetensors,
  precision: QuantizedWeights["precision"],
): ReadonlyMap<string, Shape> {
  const shapes = new Map<string, Shape>();
  for (const [name, entry] of file.tensors) {
    if (entry.dtype !== "I8" && entry.dtype !== "U8") continue;
    const shape = precision === "int8" ? byteShape(entry) : blockShape(entry);
    if (shape === undefined) {
      const wanted = precision === "int8" ? "I8 [in,…,out]" : "U8 [out,in / 32,16]";
      refuse(file, `${name} must be ${wanted}`, `${entry.dtype} [${entry.dims}]`);
    }
    expectScales(file, name, precision === "int8" ? shape[0] : elementCount(shape) / BLOCK);
    shapes.set(name, shape);
  }
  return shapes;
}

function byteShape({ dtype, dims }: TensorEntry): Shape | undefined {
  const out = dims.at(-1);
  if (dtype !== "I8" || out === undefined || dims.length < 2) return undefined;
  return [out, ...dims.slice(0, -1)];
}

function blockShape(
  { dtype, dims: [out, blocks, bytes, ...more] }: TensorEntry,
): Shape | undefined {
  if (dtype !== "U8" || out === undefined || blocks === undefined || more.length > 0) {
    return undefined;
  }
  return bytes === BLOCK / 2 ? [out, blocks * BLOCK] : undefined;
}

function expectScales(file: Safetensors, name: string, count: number): void {
  const scales = file.tensors.get(scaleName(name));
  if (scales?.dtype === "F32" && scales.dims.length === 1 && scales.dims[0] === count) return;
  const current = scales === undefined ? "missing" : `${scales.dtype} [${scales.dims}]`;
  refuse(file, `${scaleName(name)} must be F32 [${count}]`, current);
}

function refuse({ path }: Safetensors, wanted: string, current: string): never {
  throw new AssetError(`Cannot use ${path}: ${wanted}: current value is ${current}`);
}
