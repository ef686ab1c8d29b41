/**
 * A model on a hub, as files: listed by one request, downloaded when they are read, then read from the
 * cache.
 *
 * @module
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
  const { owner, name, folder, file: _, ...rest } = location;
  const kept = new KeptFiles(formatHubLocation({ owner, name, folder, ...rest }), options);
  const below = (path: string): string => folder === "" ? path : `${folder}/${path}`;
  let found: Promise<HubIndex> | undefined;
  const index = async (): Promise<HubIndex> => {
    found ??= findIndex(location, kept);
    found.catch(() => found = undefined); // the next caller may have better luck
    const index = await found;
    kept.signal.throwIfAborted();
    return index;
  };
  const find = async (path: string): Promise<RemoteBlob | undefined> => {
    const whole = below(checkedPath(path));
    const { commit, files } = await index();
    const file = files.get(whole);
    if (file === undefined) return undefined;
    const { access: { endpoint } } = await kept.open();
    const url = urlBelow(endpoint, [owner, name, "resolve", commit, ...whole.split("/")]);
    return { ...file, url, key: blobKey(file.hash) };
  };
  return kept.source({
    find,
    list: async (inner) => {
      const { files } = await index();
      return namesIn(files.keys(), inner === undefined ? folder : below(inner));
    },
    commit: async () => (await index()).commit,
    settled: async () => void await found?.catch(() => undefined), // it was stopped
  });
}
