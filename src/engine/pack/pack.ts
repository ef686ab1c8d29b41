/**
 * Packs a model: the whole directory of a pipeline in fewer bytes.
 *
 * A packed model opens like any other and keeps its source's fingerprint, so that plans still fit. It has
 * `model.json` and the transformer's `weights.safetensors` at its top, and every other part in the folder that
 * diffusers gives it: so a part opens in the same way from either kind of directory, be it on a disk, a server or
 * a hub, in memory or cut in parts.
 */

import { OTHER_PARTS, TOKENIZER_FILES, TOKENIZERS } from "../../assets/model_files.ts";
import { CONFIG, WEIGHTS } from "../../assets/weight_files.ts";
import type { Weights } from "../../assets/weights.ts";
import { AssetError } from "../../errors.ts";
import type { Model } from "../../model/model.ts";
import { loweredLayers } from "../load_graph.ts";
import { buildSegment, type Part } from "../segment/segment.ts";
import { fullStep, moduleParts } from "../segment/step_segments.ts";
import { type FileTask, type PackedFile, type PackedLayer, packFile } from "./packed_file.ts";

export interface PackTask extends Pick<FileTask, "precision" | "signal"> {
  /** The model; it stays open. */
  readonly model: Model;
  /** Takes the bytes of a file, by its path, in order; a file is whole when another one begins. */
  readonly write: (path: string, bytes: Uint8Array) => Promise<void>;
}

/** What was written, in all. */
export interface Packed {
  readonly bytes: number;
  /** What rounding did to each tensor of two axes or more, a part's folder before its name; none with `f16`. */
  readonly layers: readonly PackedLayer[];
}

/**
 * Packs a model and all parts of its directory. `f16` rounds every tensor; `int8` linear layers, tables and
 * convolutions; `int4` linear layers of blocks and nothing else.
 *
 * @throws {AssetError} When it is packed already, or a part cannot be opened.
 */
export async function packModel(task: PackTask): Promise<Packed> {
  const { model } = task;
  const layers = moduleLayers(model);
  const files = [
    await packPart("", WEIGHTS, {
      task,
      weights: model.weights,
      isLinear: (name) => layers.has(name),
    }),
  ];
  if (model.autoencoderError !== undefined) throw model.autoencoderError;
  for (const name of OTHER_PARTS) files.push(...await packOther(name, task));
  const hashes: Record<string, string> = Object.assign({}, ...files.map((file) => file.hashes));
  const manifest = new TextEncoder().encode(await manifestOf(task, hashes));
  await task.write("model.json", manifest);
  let written = manifest.length;
  for (const name of TOKENIZERS) written += await copyFiles(name, TOKENIZER_FILES, task);
  return {
    bytes: files.reduce((sum, { bytes }) => sum + bytes, written),
    layers: files.flatMap((file) => file.layers),
  };
}

/** Names of the weights of linear layers in modules. */
function moduleLayers({ transformer }: Model): ReadonlySet<string> {
  const full = fullStep(transformer.modules.length);
  const parts: readonly Part[] = moduleParts(full);
  return loweredLayers((lowering) => buildSegment(transformer, parts, lowering));
}

/** A layer of a text encoder's numbered block; the only table there is of relative positions. */
const ENCODER_LAYER = /\.\d+\..*(?<!relative_attention_bias)\.weight$/;

/** Another part, with its configuration, as diffusers has it; nothing where there is none. */
async function packOther(name: string, task: PackTask): Promise<readonly PackedFile[]> {
  const part = await task.model.directory?.openPart(name);
  if (part === undefined) return [];
  const isEncoder = name !== "vae";
  const file = isEncoder ? "model.safetensors" : "diffusion_pytorch_model.safetensors";
  const bytes = await copyFiles(name, [CONFIG], task);
  const packed = await packPart(`${name}/`, file, {
    task,
    weights: part.weights,
    isLinear: (layer) => isEncoder && ENCODER_LAYER.test(layer),
  });
  return [{ ...packed, bytes: packed.bytes + bytes }];
}

/** One file of weights; the names of its tensors have its folder before them. */
async function packPart(
  folder: string,
  file: string,
  { task, weights, isLinear }: {
    readonly task: PackTask;
    readonly weights: Weights;
    readonly isLinear: FileTask["isLinear"];
  },
): Promise<PackedFile> {
  const { model: { id }, precision, signal } = task;
  if (weights.quantized !== undefined) {
    throw new AssetError(
      `Cannot pack ${id}: its weights must be floats: current value is ${weights.quantized.precision}`,
    );
  }
  const path = `${folder}${file}`;
  const write = (bytes: Uint8Array): Promise<void> => task.write(path, bytes);
  const packed = await packFile({ weights, precision, isLinear, write, signal });
  const inFolder = ([name, hash]: [string, string]): [string, string] => [`${folder}${name}`, hash];
  return {
    ...packed,
    hashes: Object.fromEntries(Object.entries(packed.hashes).map(inFolder)),
    layers: packed.layers.map((layer) => ({ ...layer, name: `${folder}${layer.name}` })),
  };
}

/** Copies those of a part's files that are there, to the byte: other libraries read them too. Returns their bytes. */
async function copyFiles(
  part: string,
  files: readonly string[],
  { model, write }: PackTask,
): Promise<number> {
  const folder = model.directory?.openFolder(part);
  let bytes = 0;
  for (const file of files) {
    const length = await folder?.size(file);
    if (folder === undefined || length === undefined) continue;
    await write(`${part}/${file}`, await folder.read(file, { offset: 0, length }));
    bytes += length;
  }
  return bytes;
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
