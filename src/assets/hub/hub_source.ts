/**
 * A model on a hub, as files: listed by one request, downloaded when they are read, then read from the
 * cache.
 */

import { blobKey } from "../store/content_hash.ts";
import type { RemoteBlob } from "./download.ts";
import { findIndex, type HubIndex } from "./hub_index.ts";
import { formatHubLocation, parseHubLocation } from "./hub_location.ts";
import { type HubOptions, KeptFiles, type KeptSource } from "./kept_files.ts";
import { urlBelow } from "../store/ranged_response.ts";
import { checkedPath, namesIn } from "../source.ts";

/**
 * Opens a location on a hub; nothing is asked or read before its first file is.
 *
 * @throws {AssetError} When the location is malformed.
 */
export function openHub(text: string, options: HubOptions = {}): KeptSource {
  const location = parseHubLocation(text);
  const { file: _, ...whole } = location;
  const { owner, name, folder } = whole;
  const kept = new KeptFiles(formatHubLocation(whole), options);
  const below = (path: string): string => folder === "" ? path : `${folder}/${path}`;
  let found: Promise<HubIndex> | undefined;
  const index = async (): Promise<HubIndex> => {
    found ??= findIndex(location, kept);
    found.catch(() => found = undefined); // so that the next caller tries again
    return await found;
  };
  const find = async (path: string): Promise<RemoteBlob | undefined> => {
    const inside = below(checkedPath(path));
    const { commit, files } = await index();
    const file = files.get(inside);
    if (file === undefined) return undefined;
    const { access: { endpoint } } = await kept.open();
    const url = urlBelow(endpoint, [owner, name, "resolve", commit, ...inside.split("/")]);
    return { ...file, url, key: blobKey(file.hash) };
  };
  return kept.source({
    find,
    list: async (inner) => {
      const { files } = await index();
      return namesIn(files.keys(), inner === undefined ? folder : below(inner));
    },
    commit: async () => (await index()).commit,
  });
}
