/**
 * Where bytes of models come from: files in parts, sources of one's own, downloads with their progress.
 *
 * @module
 */

export type { DownloadEvent, DownloadProgress } from "./hub/download_meter.ts";
export type { ModelLocation } from "./location.ts";
export { openParts } from "./parted_source.ts";
export type { ByteRange, Source } from "./source.ts";
export type { Fetch } from "./store/ranged_response.ts";
