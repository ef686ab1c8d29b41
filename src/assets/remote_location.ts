/**
 * Locations whose files are kept in the cache: `hf://…` and `cached+https://…`.
 *
 * @module
 */

import { AssetError } from "../errors.ts";
import { type CachedUrl, openCachedUrl } from "./cached_url.ts";
import { isHubLocation } from "./hub_location.ts";
import { type HubSource, openHub } from "./hub_source.ts";
import type { HubOptions } from "./kept_files.ts";

/** What a location names: files, and the one among them that the text ends in. */
export type RemoteLocation =
  & { readonly file?: string }
  & (
    | { readonly kind: "hub"; readonly source: HubSource }
    | { readonly kind: "url"; readonly source: CachedUrl }
  );

/** What begins a URL whose files are kept. */
const CACHED = /^cached\+(https?:.*)$/is;

/**
 * Opens a location that is to be cached; `undefined` for any other. Nothing is asked yet.
 *
 * @throws {AssetError} When it is malformed.
 */
export function openRemote(text: string, options: HubOptions): RemoteLocation | undefined {
  if (isHubLocation(text)) {
    const source = openHub(text, options);
    const { file } = source.location;
    return { kind: "hub", source, ...(file !== undefined && { file }) };
  }
  const written = CACHED.exec(text)?.[1];
  if (written === undefined) return undefined;
  if (!URL.canParse(written)) {
    throw new AssetError(`Cannot open model: its location must be a URL: current value is ${text}`);
  }
  const url = new URL(written);
  const file = /\/([^/]+\.(?:safetensors|pth?|bin))$/i.exec(url.pathname)?.[1];
  if (file !== undefined) url.pathname = url.pathname.slice(0, -file.length);
  const source = openCachedUrl(url, options);
  return { kind: "url", source, ...(file !== undefined && { file: decodeURIComponent(file) }) };
}
