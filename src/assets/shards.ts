/**
 * Weights in several safetensors files, with an index that says which tensor lies in which.
 *
 * *Source:* the hub's sharded checkpoints, `<name>.safetensors.index.json`.
 *
 * @module
 */

import { z } from "zod";
import { AssetError } from "../errors.ts";
import { checkJson } from "./json.ts";
import { openSafetensors } from "./safetensors.ts";
import type { Source } from "./source.ts";
import { fileWeights, type StoredWeights } from "./weights.ts";

/** What comes behind the name of the whole in the name of its index. */
export const INDEX_SUFFIX = ".index.json";

const MAX_SHARDS = 1000;
const schema = z.object({ // metadata is for people
  weight_map: z.record(z.string(), z.string().regex(/^[^/\\]+\.safetensors$/)),
});

/**
 * Opens the files that an index names, by their headers.
 *
 * @param path Of the index, for messages.
 * @throws {AssetError} When a file is absent, or does not have exactly the tensors that the index says.
 */
export async function openShards(
  source: Source,
  path: string,
  json: unknown,
): Promise<StoredWeights> {
  const { weight_map: places } = checkJson(json, schema, path);
  const fileOf = new Map(Object.entries(places));
  const files = [...new Set(fileOf.values())].sort();
  if (files.length > MAX_SHARDS) {
    throw new AssetError(
      `Cannot read ${path}: it must name at most ${MAX_SHARDS} files: current value is ${files.length}`,
    );
  }
  const shards = new Map<string, StoredWeights>();
  for (const file of files) shards.set(file, fileWeights(await openSafetensors(source, file)));
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
