/**
 * A model directory: weights as published, and what describes them.
 *
 * Three layouts: `model.json` + `weights.safetensors`, as we ship models; an official state dict, a file of
 * safetensors or PyTorch's (or shards with their index), with an optional `config.json` beside it; or a
 * diffusers pipeline, `model_index.json` above `transformer/`, `scheduler/` and `vae/`.
 */

import { AssetError } from "../errors.ts";
import { ownWeights } from "./formats/own_weights.ts";
import { hubHint } from "./hub/hub_location.ts";
import type { HubOptions } from "./hub/kept_files.ts";
import { locate, type ModelLocation } from "./location.ts";
import type { Manifest } from "./manifest.ts";
import {
  findModel,
  type FindOptions,
  type FoundModel,
  type FoundPart,
  readJson,
} from "./model_files.ts";
import { packedWeights } from "./formats/packed_weights.ts";
import { abortable } from "./store/retry.ts";
import { openSafetensors } from "./formats/safetensors.ts";
import { openShards, openWeightFile } from "./formats/shards.ts";
import { isMissing } from "./read_errors.ts";
import type { Source } from "./source.ts";
import type { Weights } from "./weights.ts";

/** An opened model; its weights are read when they are asked for. */
export interface ModelDirectory
  extends ModelPart, Pick<FoundModel, "id" | "manifest" | "classNames"> {
  /** Where it was opened, for messages. */
  readonly name: string;
  /**
   * `scheduler_config.json`, not yet checked: of the pipeline, or beside the weights; `undefined` when it
   * is absent.
   *
   * @throws {AssetError} When it is too large or not JSON.
   */
  readScheduler(): Promise<unknown>;
  /**
   * Opens the folder of another part of a pipeline directory, or of a packed one, such as `vae`;
   * `undefined` where there is none.
   *
   * @throws {AssetError} When it lacks its configuration or its weights, or they cannot be read.
   */
  openPart(name: string): Promise<ModelPart | undefined>;
  /**
   * The folder of a part that need have neither configuration nor weights, such as `tokenizer`; `undefined`
   * where there is none. Its files are closed with the directory's.
   */
  openFolder(name: string): Source | undefined;
  /** Closes its files; reading is over. */
  close(): Promise<void>;
}

/** A part of a pipeline directory; its files are closed with the directory's. */
export interface ModelPart extends Pick<FoundPart, "config"> {
  readonly weights: Weights;
}

/** How a model is opened; `file` counts where its location is a source. */
export interface OpenOptions extends Pick<HubOptions, "onDownload" | "signal">, FindOptions {}

/**
 * Opens a model by reading its descriptions and the header of its weights, nothing more.
 *
 * @throws {AssetError} When there is no model at the location, or it is not what it claims to be.
 */
export async function openModelDirectory(
  location: ModelLocation,
  { onDownload, signal, ...options }: OpenOptions = {},
): Promise<ModelDirectory> {
  const { source, file = options.file } = locate(location, { onDownload });
  try {
    return await abortable(openFrom(source, { ...options, file }), signal);
  } catch (error) {
    await source.close();
    throw withHint(error, location);
  }
}

/** A name of a hub's that was given as a path. */
function withHint(error: unknown, location: ModelLocation): unknown {
  const hint = typeof location === "string" ? hubHint(location) : "";
  if (hint === "" || !(error instanceof AssetError) || !isMissing(error.cause)) return error;
  return new AssetError(error.message + hint, { cause: error });
}

async function openFrom(source: Source, options: FindOptions): Promise<ModelDirectory> {
  const found = await findModel(source, options);
  const { id, manifest, config, classNames } = found;
  return {
    name: source.name,
    ...{ id, classNames, config },
    ...(manifest !== undefined && { manifest }),
    weights: await openWeights(found, manifest && { manifest, part: "" }),
    readScheduler: () => readJson(source, found.scheduler),
    openPart: async (name) => {
      const part = await found.findPart(name);
      if (part === undefined) return undefined;
      const packed = manifest && { manifest, part: `${name}/` };
      return { config: part.config, weights: await openWeights(part, packed) };
    },
    openFolder: (name) => found.findFolder(name),
    close: () => source.close(),
  };
}

async function openWeights(
  { folder, weights: path, shards }: FoundPart,
  packed?: { readonly manifest: Manifest; readonly part: string },
): Promise<Weights> {
  const hashes = packed && hashesOf(packed.part, packed.manifest);
  const { weights: precision, arithmetic } = packed?.manifest ?? {};
  if (precision !== undefined && hashes !== undefined) {
    const file = await openSafetensors(folder, path);
    return packedWeights(file, { precision, hashes, ...(arithmetic && { arithmetic }) });
  }
  if (shards !== undefined) return ownWeights(await openShards(folder, path, shards));
  return ownWeights(await openWeightFile(folder, path, hashes));
}

/** Hashes of a part's tensors, whose names begin with its folder; a part that has none is a plain one. */
function hashesOf(part: string, { sha256 }: Manifest): ReadonlyMap<string, string> | undefined {
  const inPart = [...sha256].filter(([name]) =>
    part === "" ? !name.includes("/") : name.startsWith(part)
  );
  if (part !== "" && inPart.length === 0) return undefined;
  return new Map(inPart.map(([name, hash]) => [name.slice(part.length), hash]));
}
