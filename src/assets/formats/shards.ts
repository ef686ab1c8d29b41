/**
 * Weights in several files, with an index that says which tensor lies in which.
 *
 * *Source:* the hub's sharded checkpoints, `<name>.safetensors.index.json`, `<name>.bin.index.json`.
 */

import { z } from "npm:zod@4.6.7";
import { AssetError } from "../../errors.ts";
import { checkJson } from "../json.ts";
import { openSafetensors } from "./safetensors.ts";
import type { Source } from "../source.ts";
import { openTorchCheckpoint } from "./torch_checkpoint.ts";
import { weightFormat } from "../weight_files.ts";
import { fileWeights, type StoredWeights } from "../weights.ts";

/** Name of a tensor → the file that it lies in. */
export type ShardPlaces = ReadonlyMap<string, string>;

const MAX_SHARDS = 1000;
const schema = z.object({ // metadata is for people
  weight_map: z.record(z.string(), z.string().regex(/^[^/\\]+\.(?:safetensors|sft|pth?|bin)$/)),
});

/**
 * Reads an index.
 *
 * @param path Of the index, for messages.
 * @throws {AssetError} When it does not name files beside itself, or too many.
 */
export function parseShards(json: unknown, path: string): ShardPlaces {
  const places = new Map(Object.entries(checkJson(json, schema, path).weight_map));
  const { size } = new Set(places.values());
  if (size <= MAX_SHARDS) return places;
  throw new AssetError(
    `Cannot read ${path}: it must name at most ${MAX_SHARDS} files: current value is ${size}`,
  );
}

/**
 * Opens the files that an index names; of safetensors only their headers are read.
 *
 * @param path Of the index, for messages.
 * @throws {AssetError} When a file is absent, or does not have exactly the tensors that the index says.
 */
export async function openShards(
  source: Source,
  path: string,
  fileOf: ShardPlaces,
): Promise<StoredWeights> {
  const shards = new Map<string, StoredWeights>();
  for (const file of [...new Set(fileOf.values())].sort()) {
    shards.set(file, await openWeightFile(source, file));
  }
  checkPlaces(path, fileOf, shards);
  const shardOf = (name: string): StoredWeights => {
    const file = fileOf.get(name);
    if (file !== undefined) return shards.get(file)!; // all were opened
    throw new AssetError(`Cannot read ${name}: it must be named by ${path}`);
  };
  return {
    names: new Set(fileOf.keys()),
    dims: (name) => fileOf.has(name) ? shardOf(name).dims(name) : undefined,
    dtype: (name) => fileOf.has(name) ? shardOf(name).dtype(name) : undefined,
    read: async (name, signal) => await shardOf(name).read(name, signal),
    sample: async (name, indices) => await shardOf(name).sample(name, indices),
  };
}

/**
 * Opens one file, read as its name says.
 *
 * @param hashes As `fileWeights()` takes them.
 * @throws {AssetError} When it is absent or not what it claims to be.
 */
export async function openWeightFile(
  source: Source,
  path: string,
  hashes?: ReadonlyMap<string, string>,
): Promise<StoredWeights> {
  if (weightFormat(path) === "torch") return await openTorchCheckpoint(source, path);
  return fileWeights(await openSafetensors(source, path), hashes);
}

function checkPlaces(
  path: string,
  fileOf: ReadonlyMap<string, string>,
  shards: ReadonlyMap<string, StoredWeights>,
): void {
  for (const [name, file] of fileOf) {
    if (shards.get(file)?.names.has(name)) continue;
    throw new AssetError(`Cannot use ${path}: tensor ${name} must be in ${file}`);
  }
  for (const [file, { names }] of shards) {
    for (const name of names) {
      const place = fileOf.get(name);
      if (place === file) continue;
      throw new AssetError(
        `Cannot use ${path}: tensor ${name} of ${file} must be named with its file: ` +
          `current value is ${place ?? "absent"}`,
      );
    }
  }
}
