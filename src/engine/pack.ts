/**
 * Packs a model: `model.json` and `weights.safetensors` in fewer bytes.
 *
 * A packed model opens like any other, computes the same bits as its source when that is rounded while loading,
 * and keeps its source's fingerprint, so that plans still fit. It is made in two passes, one
 * tensor at a time: the first decides how each is stored, the second writes.
 */

import { sha256 } from "npm:@noble/hashes@2.4.0/sha2.js";
import { bytesToHex } from "npm:@noble/hashes@2.4.0/utils.js";
import {
  encodeHeader,
  encodeNumbers,
  type TensorLayout,
  type WritableTensor,
} from "../assets/formats/safetensors_writer.ts";
import type { Weights } from "../assets/weights.ts";
import { AssetError } from "../errors.ts";
import type { Model } from "../model/model.ts";
import { decodeFloat16, encodeFloat16, exactFloat16 } from "../tensor/half.ts";
import { BLOCK, scaleName } from "../tensor/quantize.ts";
import { type LayerPrecision, roundLayer } from "./precision/rounded_layers.ts";
import { loweredLayers } from "./load_graph.ts";
import { buildSegment, type Part } from "./segment/segment.ts";
import { fullStep, moduleParts } from "./segment/step_segments.ts";

export const PACKED_PRECISIONS = ["f16", "int8", "int4"] as const;

export interface PackTask {
  /** The model; it stays open. */
  readonly model: Model;
  /** `f16` rounds every tensor; `int8` and `int4` round linear layers of modules and nothing else. */
  readonly precision: typeof PACKED_PRECISIONS[number];
  /** Takes the parts of `weights.safetensors`, in order. */
  readonly write: (bytes: Uint8Array) => Promise<void>;
  readonly signal?: AbortSignal | undefined;
}

export interface Packed {
  readonly manifest: string;
  readonly bytes: number;
  /** What rounding did to each layer; none with `f16`. */
  readonly layers: readonly LayerPrecision[];
}

/**
 * Packs a model.
 *
 * @throws {AssetError} When it is packed already.
 */
export async function packModel(task: PackTask): Promise<Packed> {
  const { model: { id, weights } } = task;
  if (weights.quantized !== undefined) {
    throw new AssetError(
      `Cannot pack ${id}: its weights must be floats: current value is ${weights.quantized.precision}`,
    );
  }
  const layers: LayerPrecision[] = [];
  const entries = await entriesOf(task, (layer) => void layers.push(layer));
  const { bytes, hashes } = await writeEntries(entries, task);
  return { manifest: await manifestOf(task, hashes), bytes, layers };
}

/** Names of the weights of linear layers in modules. */
function moduleLayers({ transformer }: Model): ReadonlySet<string> {
  const full = fullStep(transformer.modules.length);
  const parts: readonly Part[] = moduleParts(full);
  return loweredLayers((lowering) => buildSegment(transformer, parts, lowering));
}

/** A tensor of the file, made when it is written. */
interface Entry {
  readonly name: string;
  readonly layout: TensorLayout;
  readonly make: () => Promise<WritableTensor>;
}

/** The tensors of the file, wide elements first, so that each is aligned to its own. */
async function entriesOf(
  task: PackTask,
  onLayer: (layer: LayerPrecision) => void,
): Promise<readonly Entry[]> {
  const layers = task.precision === "f16" ? new Set<string>() : moduleLayers(task.model);
  const entries: Entry[] = [];
  for (const name of [...task.model.weights.names].sort()) {
    task.signal?.throwIfAborted();
    const rounded = layers.has(name) ? await layerEntries(name, task, onLayer) : [];
    const { model: { weights } } = task;
    const float = rounded.length === 0 ? [await floatEntry(name, { ...task, weights })] : [];
    entries.push(...rounded, ...float);
  }
  return wideFirst(entries);
}

function wideFirst(entries: readonly Entry[]): readonly Entry[] {
  const rank = ({ layout }: Entry): number => WIDE_FIRST.indexOf(layout.dtype);
  return entries.toSorted((a, b) => rank(a) - rank(b));
}

const WIDE_FIRST: readonly TensorLayout["dtype"][] = ["F32", "F16", "I8", "U8"];

/** A layer's integers and scales; none where it stays float. Scales are small, and kept. */
async function layerEntries(
  name: string,
  { model: { weights }, precision, signal }: PackTask,
  onLayer: (layer: LayerPrecision) => void,
): Promise<readonly Entry[]> {
  if (precision === "f16") return [];
  const { layer, matrix } = await roundLayer(weights, name, { precision, signal });
  onLayer(layer);
  if (matrix === undefined) return [];
  const { dims: [out, width], scales: data } = matrix;
  const layout = precision === "int8"
    ? { dtype: "I8" as const, dims: [width, out] }
    : { dtype: "U8" as const, dims: [out, width / BLOCK, BLOCK / 2] };
  const scales = { dtype: "F32" as const, dims: [data.length] };
  return [
    {
      name,
      layout,
      make: async () => {
        const again = await roundLayer(weights, name, { precision, signal });
        return { ...layout, data: again.matrix!.values };
      },
    },
    { name: scaleName(name), layout: scales, make: () => Promise.resolve({ ...scales, data }) },
  ];
}

/**
 * Packs an autoencoder's weights: float16 where that was asked for or loses nothing.
 *
 * @returns Bytes of its file.
 */
export async function packFloats(
  weights: Weights,
  task: Pick<PackTask, "precision" | "write" | "signal">,
): Promise<number> {
  const entries: Entry[] = [];
  for (const name of [...weights.names].sort()) {
    task.signal?.throwIfAborted();
    entries.push(await floatEntry(name, { ...task, weights }));
  }
  return (await writeEntries(wideFirst(entries), task)).bytes;
}

async function floatEntry(
  name: string,
  { weights, precision, signal }: Pick<PackTask, "precision" | "signal"> & {
    readonly weights: Weights;
  },
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
function floatType(data: Float32Array, precision: PackTask["precision"]): "F16" | "F32" {
  if (precision !== "f16") return exactFloat16(data) === undefined ? "F32" : "F16";
  const rounded = new Float32Array(data.length);
  decodeFloat16(encodeFloat16(data), rounded);
  return rounded.every((number, i) => Number.isFinite(number) || !Number.isFinite(data[i]))
    ? "F16"
    : "F32";
}

async function writeEntries(
  entries: readonly Entry[],
  { write, signal }: Pick<PackTask, "write" | "signal">,
): Promise<{ readonly bytes: number; readonly hashes: Readonly<Record<string, string>> }> {
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

async function manifestOf(
  { model, precision }: PackTask,
  hashes: Readonly<Record<string, string>>,
): Promise<string> {
  const json = {
    format: 1,
    id: model.id.toLowerCase().replace(/[^a-z0-9._-]/g, "-").replace(/^[._-]+/, "") || "model",
    ...model.origin,
    classNames: model.classNames,
    sampler: model.sampler,
    ...(precision !== "f16" && { weights: precision }),
    fingerprint: await model.fingerprint(),
    sha256: hashes,
  };
  return JSON.stringify(json, null, 2) + "\n";
}
