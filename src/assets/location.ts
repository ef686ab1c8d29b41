/**
 * Where models are: paths, URLs, hubs, memory.
 */

import { AssetError } from "../errors.ts";
import { openCachedUrl } from "./hub/cached_url.ts";
import { isHubLocation, parseHubLocation } from "./hub/hub_location.ts";
import { openHub } from "./hub/hub_source.ts";
import type { HubOptions, KeptSource } from "./hub/kept_files.ts";
import { openDirectory, openMemory, type Source } from "./source.ts";
import { openUrl } from "./url_source.ts";
import { splitPath } from "./weight_files.ts";

/**
 * A directory or a file of weights, as path, URL or URL text; `hf://owner/name[@revision][/subfolder]` or
 * `cached+https://…`, whose files are kept in the cache; files in memory by name; or a source of the
 * caller's, which is the model's from then on and closed with it.
 */
export type ModelLocation = string | URL | ReadonlyMap<string, Uint8Array> | Source;

/** What a location names: files, and the one among them that its text ends in. */
export interface Located<S extends Source = Source> {
  readonly source: S;
  /** The file of weights that is named. */
  readonly file?: string | undefined;
}

/** What begins a URL whose files are kept. */
const CACHED = /^cached\+(https?:.*)$/is;

/**
 * Opens a location. Nothing is asked or read yet.
 *
 * @throws {AssetError} When it is malformed.
 */
export function locate(location: ModelLocation, options: HubOptions = {}): Located {
  if (typeof location !== "string" && !(location instanceof URL)) {
    return { source: "stream" in location ? location : openMemory(location) };
  }
  const text = String(location);
  const kept = locateKept(text, options);
  if (kept !== undefined) return kept;
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(text)?.[1]?.toLowerCase(); // one letter is a drive
  if (scheme === undefined) {
    const { folder, file } = splitPath(text);
    return { source: openDirectory(folder === "" ? "." : folder), file };
  }
  const { url, file } = splitUrl(text, text);
  if (scheme === "file") return { source: openDirectory(url), file };
  if (scheme === "https" || scheme === "http") return { source: openUrl(url), file };
  throw new AssetError(
    `Cannot open model: its location must be a path or a file:, https:, http: or hf: URL: ` +
      `current value is ${text}`,
  );
}

/**
 * Opens a location whose files are kept in the cache, `hf://…` or `cached+https://…`; `undefined` for any
 * other.
 *
 * @throws {AssetError} When it is malformed.
 */
export function locateKept(text: string, options: HubOptions): Located<KeptSource> | undefined {
  if (isHubLocation(text)) {
    return { source: openHub(text, options), file: parseHubLocation(text).file };
  }
  const written = CACHED.exec(text)?.[1];
  if (written === undefined) return undefined;
  const { url, file } = splitUrl(written, text);
  return { source: openCachedUrl(url, options), file };
}

/** The URL of the folder, and the name of the file that it ends in. */
function splitUrl(written: string, text: string): { readonly url: URL; readonly file?: string } {
  const url = URL.canParse(written) ? new URL(written) : undefined;
  if (url === undefined) {
    throw new AssetError(`Cannot open model: its location must be a URL: current value is ${text}`);
  }
  const { folder, file } = splitPath(url.pathname);
  url.pathname = folder;
  return { url, ...(file !== undefined && { file: decodeURIComponent(file) }) };
}
