/**
 * A model on a hub, as files: listed by one request, downloaded when they are read, then read from the
 * cache.
 *
 * @module
 */

import { blobKey } from "./content_hash.ts";
import type { RemoteBlob } from "./download.ts";
import { findIndex, type HubFile, type HubIndex, hubUrl } from "./hub_index.ts";
import { formatHubLocation, type HubLocation, parseHubLocation } from "./hub_location.ts";
import { type HubOptions, KeptFiles } from "./kept_files.ts";
import { type ByteRange, checkedPath, fail, type Source } from "./source.ts";

/** Files on a hub. */
export interface HubSource extends Source {
  /** Where it is. */
  readonly location: HubLocation;
  /**
   * The files below the location's folder, by path from there.
   *
   * @throws {AssetError} When they cannot be listed.
   */
  files(): Promise<ReadonlyMap<string, HubFile>>;
  /**
   * Brings a file into the cache; returns when it is there.
   *
   * @throws {AssetError} When it is absent or cannot be had; the signal's reason when it is aborted.
   */
  fetch(path: string, signal?: AbortSignal): Promise<void>;
  /**
   * The commit that its revision means.
   *
   * @throws {AssetError} When it cannot be found.
   */
  commit(): Promise<string>;
  /** Name of the store that files are kept in: a folder, on a disk. */
  keptIn(): Promise<string>;
}

/**
 * Opens a location on a hub; nothing is asked or read before its first file is.
 *
 * @throws {AssetError} When the location is malformed.
 */
export function openHub(location: string, options: HubOptions = {}): HubSource {
  return new HubFiles(parseHubLocation(location), options);
}

class HubFiles implements HubSource {
  readonly name: string;
  readonly #kept: KeptFiles;
  #index: Promise<HubIndex> | undefined;

  constructor(readonly location: HubLocation, readonly options: HubOptions) {
    const { file: _, ...folder } = location;
    this.name = formatHubLocation(folder);
    this.#kept = new KeptFiles(this.name, options);
  }

  async size(path: string): Promise<number | undefined> {
    return (await this.#find(path))?.size;
  }

  async read(path: string, range: ByteRange): Promise<Uint8Array> {
    return await this.#kept.read(await this.#blob(path), range);
  }

  async *stream(
    path: string,
    range: ByteRange,
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    yield* this.#kept.stream(await this.#blob(path), range, signal);
  }

  async list(): Promise<readonly string[]> {
    return [...new Set([...(await this.files()).keys()].map((path) => path.split("/", 1)[0]!))];
  }

  async files(): Promise<ReadonlyMap<string, HubFile>> {
    const prefix = this.location.folder === "" ? "" : `${this.location.folder}/`;
    const { files } = await this.#list();
    const below = [...files].filter(([path]) => path.startsWith(prefix));
    return new Map(below.map(([path, file]) => [path.slice(prefix.length), file]));
  }

  async fetch(path: string, signal?: AbortSignal): Promise<void> {
    await this.#kept.bring(await this.#blob(path), signal);
  }

  async commit(): Promise<string> {
    return (await this.#list()).commit;
  }

  async keptIn(): Promise<string> {
    return (await this.#kept.open()).store.name;
  }

  async close(): Promise<void> {
    await this.#kept.close();
    await this.#index?.catch(() => undefined); // it was stopped
  }

  async #blob(path: string): Promise<RemoteBlob> {
    const file = await this.#find(path) ?? fail(`${path} in ${this.name}`, "it must exist");
    const { owner, name } = this.location;
    const { commit } = await this.#list();
    const { access: { endpoint } } = await this.#kept.open();
    const url = hubUrl(endpoint, owner, name, "resolve", commit, ...file.path.split("/"));
    return { ...file, url, key: blobKey(file.hash) };
  }

  async #find(path: string): Promise<HubFile | undefined> {
    const { folder } = this.location;
    const whole = folder === "" ? checkedPath(path) : `${folder}/${checkedPath(path)}`;
    return (await this.#list()).files.get(whole);
  }

  async #list(): Promise<HubIndex> {
    const { onDownload } = this.options;
    const { signal } = this.#kept;
    this.#index ??= this.#kept.open().then((opened) =>
      findIndex(this.location, { ...opened, onDownload, signal })
    );
    this.#index.catch(() => this.#index = undefined); // the next caller may have better luck
    const index = await this.#index;
    signal.throwIfAborted();
    return index;
  }
}
