/**
 * A model directory: weights as published, and what describes them.
 *
 * Two layouts: `model.json` + `weights.safetensors`, as we ship models; or an official state dict,
 * a `.safetensors` file with an optional `config.json` beside it.
 *
 * @module
 */

import { AssetError } from "../errors.ts";
import { parseJson } from "./json.ts";
import { type Manifest, parseManifest } from "./manifest.ts";
import { packedWeights } from "./packed_weights.ts";
import { openSafetensors } from "./safetensors.ts";
import { openDirectory, openMemory, type Source } from "./source.ts";
import { openUrl } from "./url_source.ts";
import { fileWeights, type Weights } from "./weights.ts";

/** An opened model; its weights are read when they are asked for. */
export interface ModelDirectory {
  /** Where it was opened, for messages. */
  readonly name: string;
  /** Short name: of the weights' file, or of its folder where files have conventional names. */
  readonly id: string;
  /** What `model.json` says; absent for an official state dict. */
  readonly manifest?: Manifest;
  /** The architecture's configuration, not yet checked: of `model.json`, else `config.json`. */
  readonly config?: unknown;
  /** Its tensors. */
  readonly weights: Weights;
  /**
   * Another JSON file of the directory, not yet checked; `undefined` when it is absent.
   *
   * @throws {AssetError} When it is too large or not JSON.
   */
  readJson(name: string): Promise<unknown>;
  /** Closes its files; reading is over. */
  close(): Promise<void>;
}

/**
 * A directory or a `.safetensors` file, as path, URL or URL text; files in memory by name; or a source
 * of the caller's, which is the model's from then on and closed with it.
 */
export type ModelLocation = string | URL | ReadonlyMap<string, Uint8Array> | Source;

const MANIFEST = "model.json";
const CONFIG = "config.json";
/** Names that a folder's weights go by, if it has more than one `.safetensors`. */
const CONVENTIONAL = [
  "weights.safetensors",
  "model.safetensors",
  "diffusion_pytorch_model.safetensors",
] as const;
/** Largest `model.json` or `config.json`: 16 MiB. */
const JSON_LIMIT = 1 << 24;

/**
 * Opens a model by reading its descriptions and the header of its weights, nothing more.
 *
 * @throws {AssetError} When there is no model at the location, or it is not what it claims to be.
 */
export async function openModelDirectory(location: ModelLocation): Promise<ModelDirectory> {
  const { source, file } = locate(location);
  try {
    return await openFrom(source, file);
  } catch (error) {
    await source.close();
    throw error;
  }
}

async function openFrom(source: Source, file: string | undefined): Promise<ModelDirectory> {
  const mayHaveManifest = file === undefined || file === CONVENTIONAL[0];
  const json = mayHaveManifest ? await readJson(source, MANIFEST) : undefined;
  const manifest = json === undefined ? undefined : parseManifest(json);
  const path = file ?? (manifest ? CONVENTIONAL[0] : await findWeights(source));
  const config = manifest?.config ?? await readJson(source, CONFIG);
  const stored = await openSafetensors(source, path);
  const weights = manifest?.weights === undefined
    ? fileWeights(stored, manifest?.sha256)
    : packedWeights(stored, manifest.weights, manifest.sha256);
  return {
    name: source.name,
    id: manifest?.id ?? shortName(source, path),
    ...(manifest !== undefined && { manifest }),
    ...(config !== undefined && { config }),
    weights,
    readJson: (name) => readJson(source, name),
    close: () => source.close(),
  };
}

function shortName(source: Source, path: string): string {
  const folder = source.name.split(/[/\\]/).findLast((part) => part !== "" && part !== ".");
  const conventional = CONVENTIONAL.some((name) => name === path);
  return conventional && folder !== undefined ? folder : path.replace(/\.safetensors$/i, "");
}

/** The source, and the file in it if the location names one. */
function locate(location: ModelLocation): { source: Source; file?: string } {
  if (typeof location !== "string" && !(location instanceof URL)) {
    return { source: "stream" in location ? location : openMemory(location) };
  }
  const text = String(location);
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(text)?.[1]?.toLowerCase(); // one letter is a drive
  if (scheme === undefined) return onDisk(text);
  const { url, file } = parseUrl(text);
  if (scheme === "file") return { source: openDirectory(url), ...file };
  if (scheme === "https" || scheme === "http") return { source: openUrl(url), ...file };
  throw new AssetError(
    `Cannot open model: its location must be a path or a file:, https: or http: URL: ` +
      `current value is ${text}`,
  );
}

/** The URL of the directory, and the file's name if the text ends in one. */
function parseUrl(text: string): { url: URL; file: { file?: string } } {
  try {
    const url = new URL(text);
    const file = /\/([^/]+\.safetensors)$/i.exec(url.pathname)?.[1];
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
  const file = /(?:^|[/\\])([^/\\]+\.safetensors)$/i.exec(path)?.[1];
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
  if (files?.length === 1) return files[0]!; // the only one
  for (const name of CONVENTIONAL) {
    if (files === undefined ? await source.size(name) !== undefined : files.includes(name)) {
      return name;
    }
  }
  throw new AssetError(
    `Cannot open model in ${source.name}: it must have ${MANIFEST}, one .safetensors file, or ` +
      `${CONVENTIONAL.join(", ")}: current value is ${
        files === undefined ? "none of them" : `${files.length} .safetensors files`
      }`,
  );
}
