/**
 * A model directory: weights as published, and what describes them.
 *
 * Three layouts: `model.json` + `weights.safetensors`, as we ship models; an official state dict, a
 * `.safetensors` file (or shards with their index) or PyTorch's `.pt`, `.pth` or `.bin`, with an optional
 * `config.json` beside it; or a diffusers pipeline, `model_index.json` above `transformer/`, `scheduler/` and
 * `vae/`.
 *
 * @module
 */

import { AssetError } from "../errors.ts";
import { parseJson } from "./json.ts";
import type { HubOptions } from "./kept_files.ts";
import { type Manifest, parseManifest } from "./manifest.ts";
import { packedWeights } from "./packed_weights.ts";
import { parsePipelineIndex, PIPELINE_INDEX } from "./pipeline_index.ts";
import { openRemote } from "./remote_location.ts";
import { abortable } from "./retry.ts";
import { openSafetensors } from "./safetensors.ts";
import { INDEX_SUFFIX, openShards } from "./shards.ts";
import { openTorchCheckpoint } from "./torch_checkpoint.ts";
import { openDirectory, openMemory, type Source } from "./source.ts";
import { ownWeights } from "./formats/own_weights.ts";
import { openSubfolder } from "./subfolder.ts";
import { openUrl } from "./url_source.ts";
import { fileWeights, type Weights } from "./weights.ts";

/** An opened model; its weights are read when they are asked for. */
export interface ModelDirectory {
  /** Where it was opened, for messages. */
  readonly name: string;
  /** Short name: of the weights' file, or of its folder where files have conventional names. */
  readonly id: string;
  /** What `model.json` says; absent for what others publish. */
  readonly manifest?: Manifest;
  /** Names of each class as `model.json` or `model_index.json` has them, in label order; may be empty. */
  readonly classNames: readonly string[];
  /** The architecture's configuration, not yet checked: of `model.json`, else `config.json`. */
  readonly config?: unknown;
  /** Its tensors. */
  readonly weights: Weights;
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
  /** Closes its files; reading is over. */
  close(): Promise<void>;
}

/** A part of a pipeline directory; its files are closed with the directory's. */
export interface ModelPart {
  /** Its configuration, not yet checked. */
  readonly config: unknown;
  /** Its tensors. */
  readonly weights: Weights;
}

/** How a model is opened. */
export interface OpenOptions extends Pick<HubOptions, "onDownload"> {
  /** Stops opening. */
  readonly signal?: AbortSignal | undefined;
  /** Given each description of a model before its weights are opened; throws where they shall not be. */
  readonly checkDescription?: DescriptionCheck | undefined;
}

/** Throws when a `model_index.json` or a transformer's `config.json` is of no use. */
export type DescriptionCheck = (json: unknown, name: string) => void;

/**
 * A directory or a `.safetensors`, `.pt`, `.pth` or `.bin` file, as path, URL or URL text;
 * `hf://owner/name[@revision][/subfolder]` or `cached+https://…`, whose files are kept in the cache; files in
 * memory by name; or a source of the caller's, which is the model's from then on and closed with it.
 */
export type ModelLocation = string | URL | ReadonlyMap<string, Uint8Array> | Source;

const MANIFEST = "model.json";
const CONFIG = "config.json";
const SCHEDULER = "scheduler_config.json";
/** Names that a folder's weights go by, if it has more than one `.safetensors`. */
const CONVENTIONAL = [
  "weights.safetensors",
  "model.safetensors",
  "diffusion_pytorch_model.safetensors",
  "diffusion_pytorch_model.fp16.safetensors",
] as const;
/** The same, cut into shards. */
const SHARDED = CONVENTIONAL.slice(1, 3).map((name) => `${name}${INDEX_SUFFIX}`);
/** How PyTorch's own files are called, and the one of a diffusers folder. */
const CHECKPOINT = /\.(?:pth?|bin)$/i;
const TORCH = "diffusion_pytorch_model.bin";
const WEIGHTS_EXTENSION = /\.(?:safetensors|pth?|bin)$/i;
const CONVENTIONAL_STEM = /^(?:weights|model|diffusion_pytorch_model)\.[a-z0-9.]+$/;
/** Largest `model.json` or `config.json`: 16 MiB. */
const JSON_LIMIT = 1 << 24;

/**
 * Opens a model by reading its descriptions and the header of its weights, nothing more.
 *
 * @throws {AssetError} When there is no model at the location, or it is not what it claims to be.
 */
export async function openModelDirectory(
  location: ModelLocation,
  options: OpenOptions = {},
): Promise<ModelDirectory> {
  const { source, file } = locate(location, options);
  try {
    return await abortable(openFrom(source, file, options.checkDescription), options.signal);
  } catch (error) {
    await source.close();
    throw error;
  }
}

async function openFrom(
  source: Source,
  file: string | undefined,
  check: DescriptionCheck | undefined,
): Promise<ModelDirectory> {
  const mayHaveManifest = file === undefined || file === CONVENTIONAL[0];
  const json = mayHaveManifest ? await readJson(source, MANIFEST) : undefined;
  if (json === undefined && file === undefined) {
    const index = await readJson(source, PIPELINE_INDEX);
    if (index !== undefined) return await openPipelineDirectory(source, index, check);
  }
  const manifest = json === undefined ? undefined : parseManifest(json);
  const config = manifest?.config ?? await readJson(source, CONFIG);
  check?.(config, source.name);
  const path = file ?? (manifest ? CONVENTIONAL[0] : await findWeights(source));
  return {
    name: source.name,
    id: manifest?.id ?? shortName(source, path),
    ...(manifest !== undefined && { manifest }),
    ...(config !== undefined && { config }),
    classNames: manifest?.classNames ?? [],
    weights: await openWeights(source, path, manifest),
    readScheduler: () => readJson(source, SCHEDULER),
    openPart: async (name) => {
      const part = openSubfolder(source, name);
      const isThere = manifest !== undefined && await part.size(CONFIG) !== undefined;
      return isThere ? await openFolder(part) : undefined;
    },
    close: () => source.close(),
  };
}

async function openPipelineDirectory(
  source: Source,
  json: unknown,
  check: DescriptionCheck | undefined,
): Promise<ModelDirectory> {
  const { parts, classNames } = parsePipelineIndex(json);
  check?.(json, source.name);
  const openPart = async (name: string, check?: DescriptionCheck): Promise<ModelPart | undefined> =>
    parts.has(name) ? await openFolder(openSubfolder(source, name), check) : undefined;
  const transformer = await openPart("transformer", check);
  if (transformer === undefined) {
    throw new AssetError(
      `Cannot open ${source.name}: its ${PIPELINE_INDEX} must name a transformer: ` +
        `current value is ${[...parts].join(", ") || "nothing"}`,
    );
  }
  return {
    name: source.name,
    id: shortName(source, CONVENTIONAL[0]),
    ...transformer,
    classNames,
    readScheduler: () => readJson(openSubfolder(source, "scheduler"), SCHEDULER),
    openPart: (name) => openPart(name),
    close: () => source.close(),
  };
}

async function openFolder(source: Source, check?: DescriptionCheck): Promise<ModelPart> {
  const config = await readJson(source, CONFIG);
  check?.(config, source.name);
  if (config === undefined) {
    throw new AssetError(`Cannot open ${source.name}: it must have ${CONFIG}`);
  }
  return { config, weights: await openWeights(source, await findWeights(source)) };
}

async function openWeights(source: Source, path: string, manifest?: Manifest): Promise<Weights> {
  if (CHECKPOINT.test(path)) return ownWeights(await openTorchCheckpoint(source, path));
  if (path.endsWith(INDEX_SUFFIX)) {
    return ownWeights(await openShards(source, path, await readJson(source, path)));
  }
  const stored = await openSafetensors(source, path);
  if (manifest?.weights === undefined) return ownWeights(fileWeights(stored, manifest?.sha256));
  return packedWeights(stored, manifest.weights, manifest.sha256);
}

function shortName(source: Source, path: string): string {
  const folder = source.name.split(/[/\\]/).findLast((part) => part !== "" && part !== ".");
  const conventional = CONVENTIONAL_STEM.test(path);
  return conventional && folder !== undefined ? folder : path.replace(WEIGHTS_EXTENSION, "");
}

/** The source, and the file in it if the location names one. */
function locate(
  location: ModelLocation,
  { onDownload }: OpenOptions,
): { source: Source; file?: string } {
  if (typeof location !== "string" && !(location instanceof URL)) {
    return { source: "stream" in location ? location : openMemory(location) };
  }
  const text = String(location);
  const remote = openRemote(text, { onDownload });
  if (remote !== undefined) return remote;
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(text)?.[1]?.toLowerCase(); // one letter is a drive
  if (scheme === undefined) return onDisk(text);
  const { url, file } = parseUrl(text);
  if (scheme === "file") return { source: openDirectory(url), ...file };
  if (scheme === "https" || scheme === "http") return { source: openUrl(url), ...file };
  throw new AssetError(
    `Cannot open model: its location must be a path or a file:, https:, http: or hf: URL: ` +
      `current value is ${text}`,
  );
}

/** The URL of the directory, and the file's name if the text ends in one. */
function parseUrl(text: string): { url: URL; file: { file?: string } } {
  try {
    const url = new URL(text);
    const file = /\/([^/]+\.(?:safetensors|pth?|bin))$/i.exec(url.pathname)?.[1];
    if (file === undefined) return { url, file: {} };
    url.pathname = url.pathname.slice(0, -file.length);
    return { url, file: { file: decodeURIComponent(file) } };
  } catch (cause) {
    throw new AssetError(
      `Cannot open model: its location must be a URL: current value is ${text}`,
      {
        cause,
      },
    );
  }
}

function onDisk(path: string): { source: Source; file?: string } {
  const file = /(?:^|[/\\])([^/\\]+\.(?:safetensors|pth?|bin))$/i.exec(path)?.[1];
  if (file === undefined) return { source: openDirectory(path === "" ? "." : path) };
  const folder = path.slice(0, -file.length);
  return { source: openDirectory(folder === "" ? "." : folder), file };
}

async function readJson(source: Source, path: string): Promise<unknown> {
  const length = await source.size(path);
  if (length === undefined) return undefined;
  if (length > JSON_LIMIT) {
    throw new AssetError(
      `Cannot read ${path} in ${source.name}: it must have at most ${JSON_LIMIT} bytes: ` +
        `current value is ${length}`,
    );
  }
  return parseJson(await source.read(path, { offset: 0, length }), `${path} in ${source.name}`);
}

async function findWeights(source: Source): Promise<string> {
  const listed = await source.list();
  const files = listed?.filter((name) => /\.safetensors$/i.test(name));
  const sharded = SHARDED.some((name) => listed?.includes(name));
  if (files?.length === 1 && !sharded) return files[0]!; // the only one
  const checkpoints = files?.length === 0 ? listed?.filter((name) => CHECKPOINT.test(name)) : [];
  if (checkpoints?.length === 1) return checkpoints[0]!; // the only one
  for (const name of [...CONVENTIONAL, ...SHARDED, TORCH]) {
    if (listed === undefined ? await source.size(name) !== undefined : listed.includes(name)) {
      return name;
    }
  }
  throw new AssetError(
    `Cannot open model in ${source.name}: it must have ${MANIFEST}, ${PIPELINE_INDEX}, one ` +
      `.safetensors or .pt file, or ${CONVENTIONAL.join(", ")}: current value is ${
        files === undefined ? "none of them" : `${files.length} .safetensors files`
      }`,
  );
}
