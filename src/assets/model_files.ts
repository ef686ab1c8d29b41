/**
 * Finds a model's files: all that it needs is known before any of its weights are read.
 */

import { AssetError } from "../errors.ts";
import { parseJson } from "./json.ts";
import { type Manifest, parseManifest } from "./manifest.ts";
import { parsePipelineIndex, PIPELINE_INDEX } from "./pipeline_index.ts";
import { parseShards, type ShardPlaces } from "./formats/shards.ts";
import type { Source } from "./source.ts";
import { openSubfolder } from "./subfolder.ts";
import { CONFIG, findWeights, nameOfWeights, weightFormat, WEIGHTS } from "./weight_files.ts";

/** A part of a model in its folder. */
export interface FoundPart {
  readonly folder: Source;
  /** Its configuration, not yet checked; `undefined` where it has none. */
  readonly config: unknown;
  /** Its file of weights, or the index of several. */
  readonly weights: string;
  /** What the index says, where it is one. */
  readonly shards?: ShardPlaces;
  /** All of its files, by their paths from the model's folder. */
  readonly paths: readonly string[];
}

/** A model: its transformer, and where its other parts are. */
export interface FoundModel extends FoundPart {
  /** Short name: the manifest's, or of the weights' file, or of its folder where files have usual names. */
  readonly id: string;
  /** What `model.json` says; absent for what others publish. */
  readonly manifest?: Manifest;
  /** Names of each class, in label order; may be empty. */
  readonly classNames: readonly string[];
  /** Path of the scheduler's configuration, if there is one. */
  readonly scheduler: string;
  /**
   * Finds another part, such as `vae`; `undefined` where there is none.
   *
   * @throws {AssetError} When it lacks its configuration or its weights.
   */
  findPart(name: string): Promise<FoundPart | undefined>;
  /** A part's folder that need have neither configuration nor weights, such as `tokenizer`; `undefined` where there is none. */
  findFolder(name: string): Source | undefined;
}

/** Throws when a `model_index.json` or a transformer's `config.json` cannot be used. */
export type DescriptionCheck = (json: unknown, name: string) => void;

export interface FindOptions {
  /** The file of weights to take; one with a usual name, or the only one, unless given. */
  readonly file?: string | undefined;
  /** Given each description of a model before its weights are looked for; throws when they cannot be used. */
  readonly checkDescription?: DescriptionCheck | undefined;
}

const MANIFEST = "model.json";
const SCHEDULER = "scheduler_config.json";
/** Parts with weights beside the transformer. */
export const OTHER_PARTS: readonly string[] = [
  ...["vae", "text_encoder", "text_encoder_2", "text_encoder_3"],
];
/** Folders of tokenizers, and what is read in them where it is there. */
export const TOKENIZERS: readonly string[] = ["tokenizer", "tokenizer_2", "tokenizer_3"];
export const TOKENIZER_FILES: readonly string[] = [
  ...["tokenizer.json", "vocab.json", "merges.txt"],
  ...["tokenizer_config.json", "special_tokens_map.json"],
];
/** Largest file beside weights, such as `model.json` or `config.json`: 16 MiB. */
const DESCRIPTION_LIMIT = 1 << 24;

/**
 * Finds the model in a folder by reading its descriptions.
 *
 * @throws {AssetError} When there is none, or a description is not what it claims to be.
 */
export async function findModel(source: Source, options: FindOptions = {}): Promise<FoundModel> {
  const { file, checkDescription: check } = options;
  const json = file === undefined || file === WEIGHTS
    ? await readJson(source, MANIFEST)
    : undefined;
  if (json !== undefined) return packaged(source, parseManifest(json), check);
  const index = file === undefined ? await readJson(source, PIPELINE_INDEX) : undefined;
  if (index !== undefined) return await findPipeline(source, index, check);
  const part = await findIn(source, "", options);
  return {
    ...part,
    id: nameOfWeights(part.weights) ?? folderName(source) ?? part.weights,
    classNames: [],
    scheduler: SCHEDULER,
    findPart: () => Promise.resolve(undefined),
    findFolder: () => undefined,
  };
}

/**
 * All files that opening a model reads, by their paths from its folder.
 *
 * @throws {AssetError} As `findModel()`.
 */
export async function modelFiles(
  source: Source,
  options: FindOptions = {},
): Promise<readonly string[]> {
  const { findPart, findFolder, paths, scheduler } = await findModel(source, options);
  const others: string[] = [];
  for (const name of OTHER_PARTS) others.push(...(await findPart(name))?.paths ?? []);
  for (const path of [...paths, ...others]) {
    if (await source.size(path) !== undefined) continue; // a shard, at worst
    throw new AssetError(`Cannot open model in ${source.name}: it must have ${path}`);
  }
  const optional = TOKENIZERS.filter((name) => findFolder(name) !== undefined)
    .flatMap((name) => TOKENIZER_FILES.map((file) => `${name}/${file}`));
  return [...paths, ...others, ...await existing(source, [...optional, scheduler])];
}

/** Those of the files that are there. */
async function existing(source: Source, paths: readonly string[]): Promise<readonly string[]> {
  const sizes = await Promise.all(paths.map((path) => source.size(path)));
  return paths.filter((_, i) => sizes[i] !== undefined);
}

/** A model as we ship them: its manifest has the configuration. */
function packaged(
  source: Source,
  manifest: Manifest,
  check: DescriptionCheck | undefined,
): FoundModel {
  const { id, config, classNames } = manifest;
  check?.(config, source.name);
  return {
    ...{ id, manifest, config, classNames },
    folder: source,
    weights: WEIGHTS,
    paths: [MANIFEST, WEIGHTS],
    scheduler: SCHEDULER,
    findPart: async (name) => {
      const isThere = await source.size(`${name}/${CONFIG}`) !== undefined;
      return isThere ? await findIn(source, name) : undefined;
    },
    findFolder: (name) => openSubfolder(source, name),
  };
}

async function findPipeline(
  source: Source,
  json: unknown,
  check: DescriptionCheck | undefined,
): Promise<FoundModel> {
  const { parts, classNames } = parsePipelineIndex(json);
  check?.(json, source.name);
  if (!parts.has("transformer")) {
    throw new AssetError(
      `Cannot open ${source.name}: its ${PIPELINE_INDEX} must name a transformer: ` +
        `current value is ${[...parts].join(", ") || "nothing"}`,
    );
  }
  const transformer = await findIn(source, "transformer", { checkDescription: check });
  return {
    ...transformer,
    id: folderName(source) ?? transformer.weights,
    classNames,
    paths: [PIPELINE_INDEX, ...transformer.paths],
    scheduler: `scheduler/${SCHEDULER}`,
    findPart: async (name) => {
      const isThere = parts.has(name) && await isPartThere(source, name);
      return isThere ? await findIn(source, name) : undefined;
    },
    findFolder: (name) => parts.has(name) ? openSubfolder(source, name) : undefined,
  };
}

/** Text encoders that the index names may have been left out: prompts can come in as tensors. */
async function isPartThere(source: Source, name: string): Promise<boolean> {
  return name === "vae" || await source.size(`${name}/${CONFIG}`) !== undefined;
}

/** One part; at the top, its configuration may be missing. */
async function findIn(
  source: Source,
  name: string,
  { file, checkDescription: check }: FindOptions = {},
): Promise<FoundPart> {
  const folder = name === "" ? source : openSubfolder(source, name);
  const config = await readJson(folder, CONFIG);
  check?.(config, folder.name);
  if (config === undefined && name !== "") {
    throw new AssetError(`Cannot open ${folder.name}: it must have ${CONFIG}`);
  }
  const weights = file ?? await findWeights(folder);
  const shards = weightFormat(weights) === "index"
    ? parseShards(await readJson(folder, weights), weights)
    : undefined;
  const names = [...(config === undefined ? [] : [CONFIG]), weights, ...new Set(shards?.values())];
  const paths = names.map((path) => name === "" ? path : `${name}/${path}`);
  return { folder, config, weights, paths, ...(shards !== undefined && { shards }) };
}

function folderName(source: Source): string | undefined {
  return source.name.split(/[/\\]/).findLast((part) => part !== "" && part !== ".");
}

/**
 * A description; `undefined` where there is none.
 *
 * @throws {AssetError} When it is too large or not JSON.
 */
export async function readJson(source: Source, path: string): Promise<unknown> {
  const bytes = await readDescription(source, path);
  return bytes && parseJson(bytes, `${path} in ${source.name}`);
}

/**
 * All bytes of a file that is no weights; `undefined` where there is none.
 *
 * @throws {AssetError} When it is too large.
 */
export async function readDescription(
  source: Source,
  path: string,
): Promise<Uint8Array | undefined> {
  const length = await source.size(path);
  if (length === undefined) return undefined;
  if (length <= DESCRIPTION_LIMIT) return await source.read(path, { offset: 0, length });
  throw new AssetError(
    `Cannot read ${path} in ${source.name}: it must have at most ${DESCRIPTION_LIMIT} bytes: ` +
      `current value is ${length}`,
  );
}
