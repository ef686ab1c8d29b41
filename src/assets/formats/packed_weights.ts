/**
 * Weights of which some matrices are stored in integers, each with its scales beside it.
 *
 * Of a matrix `X` in 8 bits, `X` is I8 `(in, out)` and `X.scale` F32 `(out)`; in 4 bits `X` is U8
 * `(out, in / 32, 16)` and `X.scale` F32 `(out · in / 32)`. All other tensors are floats.
 */

import { AssetError } from "../../errors.ts";
import { BLOCK, dequantize, type QuantizedMatrix, scaleName } from "../../tensor/quantize.ts";
import { checkIndices } from "./element_samples.ts";
import type { Safetensors } from "./safetensors.ts";
import type { TensorEntry } from "./safetensors_header.ts";
import { fileWeights, type QuantizedWeights, type Weights } from "../weights.ts";

/**
 * The weights of a packed file. `read()` of a matrix in integers gives what they stand for.
 *
 * @throws {AssetError} When a matrix has another type than the precision's, or its scales are not beside it.
 */
export function packedWeights(
  file: Safetensors,
  precision: QuantizedWeights["precision"],
  hashes: ReadonlyMap<string, string>,
): Weights {
  const stored = fileWeights(file, hashes);
  const shapes = matrixShapes(file, precision);
  const readMatrix: QuantizedWeights["read"] = async (name, signal) => {
    const scale = scaleName(name); // every tensor of the file has a hash
    const bytes = await file.readBytes(name, { sha256: hashes.get(name), signal });
    const scales = await file.readFloat32(scale, { sha256: hashes.get(scale), signal });
    return {
      bits: precision === "int8" ? 8 : 4,
      dims: shapes.get(name)!, // asked of those only
      values: precision === "int8" ? new Int8Array(bytes.buffer) : bytes,
      scales: scales.data,
    };
  };
  const scales = new Set([...shapes.keys()].map(scaleName));
  const read: Weights["read"] = async (name, signal) =>
    shapes.has(name) ? dequantize(await readMatrix(name, signal)) : stored.read(name, signal);
  return {
    names: new Set([...stored.names].filter((name) => !scales.has(name))),
    dims: (name) => shapes.get(name) ?? stored.dims(name),
    read,
    sample: async (name, indices) => {
      if (!shapes.has(name)) return await stored.sample(name, indices);
      const { data } = await read(name);
      checkIndices(name, indices, data.length);
      return Float32Array.from(indices, (index) => data[index]!); // just checked
    },
    quantized: { precision, names: new Set(shapes.keys()), read: readMatrix },
  };
}

type Shape = QuantizedMatrix["dims"];

/** Rows and columns of every matrix that is stored in integers. */
function matrixShapes(
  file: Safetensors,
  precision: QuantizedWeights["precision"],
): ReadonlyMap<string, Shape> {
  const shapes = new Map<string, Shape>();
  for (const [name, entry] of file.tensors) {
    if (entry.dtype !== "I8" && entry.dtype !== "U8") continue;
    const shape = precision === "int8" ? byteShape(entry) : blockShape(entry);
    if (shape === undefined) {
      const wanted = precision === "int8" ? "I8 [in,out]" : "U8 [out,in / 32,16]";
      refuse(file, `${name} must be ${wanted}`, `${entry.dtype} [${entry.dims}]`);
    }
    expectScales(file, name, precision === "int8" ? shape[0] : shape[0] * (shape[1] / BLOCK));
    shapes.set(name, shape);
  }
  return shapes;
}

function byteShape({ dtype, dims: [width, out, ...more] }: TensorEntry): Shape | undefined {
  if (dtype !== "I8" || width === undefined || out === undefined || more.length > 0) {
    return undefined;
  }
  return [out, width];
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
