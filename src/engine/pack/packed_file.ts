/**
 * One file of a packed model, made in two passes, one tensor at a time: the first decides how each is stored,
 * the second writes.
 */

import { sha256 } from "npm:@noble/hashes@2.4.0/sha2.js";
import { bytesToHex } from "npm:@noble/hashes@2.4.0/utils.js";
import {
  encodeHeader,
  encodeNumbers,
  type TensorLayout,
  type WritableTensor,
} from "../../assets/formats/safetensors_writer.ts";
import type { Weights } from "../../assets/weights.ts";
import { decodeFloat16, encodeFloat16, exactFloat16 } from "../../tensor/half.ts";
import { BLOCK, scaleName } from "../../tensor/quantize.ts";
import { elementCount } from "../../tensor/tensor.ts";
import { ERROR_LIMITS, type LayerPrecision, roundLayer } from "../precision/rounded_layers.ts";

export const PACKED_PRECISIONS = ["f16", "int8", "int4"] as const;

/** How tensors are stored. */
export type PackedPrecision = typeof PACKED_PRECISIONS[number];

/** A tensor of two axes or more, and how it was stored. */
export interface PackedLayer extends LayerPrecision {
  /** Why it stayed in floats; absent where it is in integers. */
  readonly kept?: "small" | "inexact" | "outside";
}

export interface FileTask {
  readonly weights: Weights;
  readonly precision: PackedPrecision;
  /** The linear layers, which `int4` rounds and nothing else. */
  readonly isLinear: (name: string) => boolean;
  /** Takes the parts of the file, in order. */
  readonly write: (bytes: Uint8Array) => Promise<void>;
  readonly signal?: AbortSignal | undefined;
}

/** What was written. */
export interface PackedFile {
  readonly bytes: number;
  /** Lower-case hex sha256 of the stored bytes of each tensor. */
  readonly hashes: Readonly<Record<string, string>>;
  /** What rounding did to each tensor of two axes or more; none with `f16`. */
  readonly layers: readonly PackedLayer[];
}

/** Writes the weights as safetensors. */
export async function packFile(task: FileTask): Promise<PackedFile> {
  const layers: PackedLayer[] = [];
  const entries: Entry[] = [];
  for (const name of [...task.weights.names].sort()) {
    task.signal?.throwIfAborted();
    const rounded = await roundedEntries(name, task, (layer) => void layers.push(layer));
    entries.push(...rounded.length > 0 ? rounded : [await floatEntry(name, task)]);
  }
  return { ...await writeEntries(wideFirst(entries), task), layers };
}

/** A tensor of the file, made when it is written. */
interface Entry {
  readonly name: string;
  readonly layout: TensorLayout;
  readonly make: () => Promise<WritableTensor>;
}

/** Wide elements come first, so that each is aligned to its own. */
function wideFirst(entries: readonly Entry[]): readonly Entry[] {
  const rank = ({ layout }: Entry): number => WIDE_FIRST.indexOf(layout.dtype);
  return entries.toSorted((a, b) => rank(a) - rank(b));
}

const WIDE_FIRST: readonly TensorLayout["dtype"][] = ["F32", "F16", "I8", "U8"];

/** Rounding fewer numbers than these would save less than 16 KiB; what enters and leaves a network is among them. */
export const SMALLEST = 1 << 14;

/** A tensor's integers and scales; none where it stays float. Scales are few, and kept. */
async function roundedEntries(
  name: string,
  { weights, precision, isLinear, signal }: FileTask,
  onLayer: (layer: PackedLayer) => void,
): Promise<readonly Entry[]> {
  const shape = weights.dims(name) ?? [];
  if (precision === "f16" || shape.length < 2) return [];
  const isOutside = precision === "int4" && !(isLinear(name) && shape.length === 2);
  if (isOutside || (elementCount(shape) < SMALLEST && !isLinear(name))) {
    onLayer({ name, rounded: false, kept: isOutside ? "outside" : "small" });
    return [];
  }
  const { layer, matrix } = await roundLayer(weights, name, { precision, signal });
  onLayer(layer.rounded ? layer : { ...layer, kept: "inexact" });
  if (matrix === undefined) return [];
  const { scales: data } = matrix;
  const layout = layoutOf(shape, precision);
  const scales = { dtype: "F32" as const, dims: [data.length] };
  const make = async (): Promise<WritableTensor> => {
    const again = await roundLayer(weights, name, { precision, signal });
    return { ...layout, data: again.matrix!.values };
  };
  return [
    { name, layout, make },
    { name: scaleName(name), layout: scales, make: () => Promise.resolve({ ...scales, data }) },
  ];
}

function layoutOf(
  [out = 0, ...rest]: readonly number[],
  precision: "int8" | "int4",
): { readonly dtype: "I8" | "U8"; readonly dims: readonly number[] } {
  if (precision === "int8") return { dtype: "I8", dims: [...rest, out] };
  return { dtype: "U8", dims: [out, elementCount(rest) / BLOCK, BLOCK / 2] };
}

async function floatEntry(
  name: string,
  { weights, precision, signal }: FileTask,
): Promise<Entry> {
  const { dims, data } = await weights.read(name, signal);
  const layout = { dtype: floatType(data, precision), dims };
  return {
    name,
    layout,
    make: async () => ({ ...layout, data: (await weights.read(name, signal)).data }),
  };
}

/** Float16 where that was asked for or loses nothing; float32 where a number is too large for it. */
function floatType(data: Float32Array, precision: PackedPrecision): "F16" | "F32" {
  if (precision !== "f16") return exactFloat16(data) === undefined ? "F32" : "F16";
  const rounded = new Float32Array(data.length);
  decodeFloat16(encodeFloat16(data), rounded);
  return rounded.every((number, i) => Number.isFinite(number) || !Number.isFinite(data[i]))
    ? "F16"
    : "F32";
}

async function writeEntries(
  entries: readonly Entry[],
  { write, signal }: FileTask,
): Promise<Pick<PackedFile, "bytes" | "hashes">> {
  const header = encodeHeader(new Map(entries.map(({ name, layout }) => [name, layout])));
  await write(header);
  let bytes = header.length;
  const hashes: Record<string, string> = {};
  for (const { name, make } of entries) {
    signal?.throwIfAborted();
    const data = encodeNumbers(await make());
    hashes[name] = bytesToHex(sha256(data));
    await write(data);
    bytes += data.length;
  }
  return { bytes, hashes };
}

/** Why tensors stayed in floats, as it is said to users. */
export const KEPT_REASONS: Readonly<Record<NonNullable<PackedLayer["kept"]>, string>> = {
  small: `they have fewer than ${SMALLEST.toLocaleString("en")} numbers`,
  inexact: `rounding would change them by more than ${
    Object.entries(ERROR_LIMITS).map(([name, limit]) => `${100 * limit} % (${name})`).join(" or ")
  }`,
  outside: "int4 is for linear layers of blocks",
};
