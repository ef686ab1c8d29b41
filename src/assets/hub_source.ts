/**
 * A model on a hub, as files: listed by one request, downloaded when they are read, then read from the
 * cache.
 *
 * @module
 */

import { AssetError } from "../errors.ts";
import type { BlobStore } from "./blob_store.ts";
import { blobKey } from "./content_hash.ts";
import { download } from "./download.ts";
import type { DownloadEvent } from "./download_meter.ts";
import { findIndex, type HubFile, type HubIndex, hubUrl } from "./hub_index.ts";
import { formatHubLocation, type HubLocation, parseHubLocation } from "./hub_location.ts";
import { ask, bodyOf, type HubAccess, PATIENCE_MS, plain } from "./hub_request.ts";
import { type HubSettings, openPlatformStore, readHubSettings } from "./hub_settings.ts";
import { collect, type Fetch, inBlocks } from "./ranged_response.ts";
import { abortable, CLOCK, type Clock, persist, Watchdog } from "./retry.ts";
import { blocks, type ByteRange, checkedPath, checkRange, fail, type Source } from "./source.ts";

/** How files of a hub are fetched and kept. */
export interface HubOptions {
  /** Hears of downloads. */
  readonly onDownload?: ((event: DownloadEvent) => void) | undefined;
  /** Stops every download of the source. */
  readonly signal?: AbortSignal | undefined;
  /** Where files are kept; the platform's cache unless given. Closed with the source. */
  readonly store?: BlobStore;
  /** Endpoint, token and offline mode; the environment's unless given. */
  readonly settings?: HubSettings;
  /** What fetches; the global function unless given. */
  readonly fetch?: Fetch;
  /** Waits; the machine's clock unless given. */
  readonly clock?: Clock;
}

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

/** A file up to this size is downloaded by its first read, whatever is read: 1 MiB. */
const SMALL_BYTES = 1 << 20;
/** A read that begins this early is of a header: it needs no download of the rest. */
const HEADER_OFFSET = 8;

/**
 * Opens a location on a hub; nothing is asked or read before its first file is.
 *
 * @throws {AssetError} When the location is malformed.
 */
export function openHub(location: string, options: HubOptions = {}): HubSource {
  return new HubFiles(parseHubLocation(location), options);
}

interface Opened {
  readonly store: BlobStore;
  readonly settings: HubSettings;
  readonly access: HubAccess;
}

class HubFiles implements HubSource {
  readonly name: string;
  readonly #abort = new AbortController();
  readonly #signal: AbortSignal;
  readonly #downloads = new Map<string, Promise<void>>();
  #opened: Promise<Opened> | undefined;
  #index: Promise<HubIndex> | undefined;

  constructor(readonly location: HubLocation, readonly options: HubOptions) {
    const { file: _, ...folder } = location;
    this.name = formatHubLocation(folder);
    this.#signal = AbortSignal.any([
      this.#abort.signal,
      ...(options.signal === undefined ? [] : [options.signal]),
    ]);
  }

  async size(path: string): Promise<number | undefined> {
    return (await this.#find(path))?.size;
  }

  async read(path: string, range: ByteRange): Promise<Uint8Array> {
    return await this.#read(path, range);
  }

  async *stream(
    path: string,
    range: ByteRange,
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    const file = await this.#existing(path);
    checkRange(`${path} in ${this.name}`, range, file.size);
    await this.#download(file, signal);
    const { store } = await this.#open();
    yield* blocks(range, (part) => store.read(blobKey(file.hash), part), signal);
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
    await this.#download(await this.#existing(path), signal);
  }

  async commit(): Promise<string> {
    return (await this.#list()).commit;
  }

  async keptIn(): Promise<string> {
    return (await this.#open()).store.name;
  }

  async close(): Promise<void> {
    this.#abort.abort(
      new AssetError(`Cannot read ${this.name}: it must be read before it is closed`),
    );
    await Promise.allSettled([this.#index, ...this.#downloads.values()]);
    const opened = await this.#opened?.catch(() => undefined);
    await opened?.store.close();
  }

  async #read(path: string, range: ByteRange): Promise<Uint8Array> {
    const file = await this.#existing(path);
    checkRange(`${path} in ${this.name}`, range, file.size);
    const { store, settings: { offline } } = await this.#open();
    const key = blobKey(file.hash);
    const isHeader = range.offset <= HEADER_OFFSET && file.size > SMALL_BYTES && !offline;
    if (isHeader && await store.size(key) !== file.size) {
      const header = await this.#readAhead(file, range);
      if (header !== undefined) return header;
    }
    await this.#download(file);
    return await store.read(key, range);
  }

  /** Part of a file that is not downloaded, straight from the hub; `undefined` where it has no ranges. */
  async #readAhead(file: HubFile, range: ByteRange): Promise<Uint8Array | undefined> {
    if (range.length === 0) return new Uint8Array();
    const { access } = await this.#open();
    const url = await this.#urlOf(file);
    const { clock } = access;
    const attempt = async (): Promise<Uint8Array | undefined> => {
      using watch = new Watchdog(plain(url), {
        clock,
        patience: PATIENCE_MS,
        signal: this.#signal,
      });
      const { response } = await ask(url, { ...access, range, signal: watch.signal });
      if (response.status === 206) {
        return await collect(inBlocks(bodyOf(url, response, watch), url, range.length));
      }
      await response.body?.cancel();
      return undefined;
    };
    return await persist(attempt, { clock, signal: this.#signal });
  }

  /** Once for all who read the file; a reader that is stopped leaves it to the others. */
  async #download(file: HubFile, signal?: AbortSignal): Promise<void> {
    const { path } = file;
    const running = this.#downloads.get(path) ?? this.#bring(file);
    this.#downloads.set(path, running);
    running.catch(() => this.#downloads.delete(path)); // the next caller may have better luck
    await abortable(running, signal);
  }

  async #bring(file: HubFile): Promise<void> {
    const { store, access, settings } = await this.#open();
    if (await store.size(blobKey(file.hash)) === file.size) return;
    if (settings.offline) {
      fail(
        `${file.path} of ${this.name} offline`,
        "it must be in the cache: current value is absent",
      );
    }
    const { onDownload } = this.options;
    const blob = { ...file, url: await this.#urlOf(file) };
    await download(blob, { store, access, onDownload, signal: this.#signal });
  }

  async #urlOf({ path }: HubFile): Promise<URL> {
    const { owner, name } = this.location;
    const { commit } = await this.#list();
    const { access: { endpoint } } = await this.#open();
    return hubUrl(endpoint, owner, name, "resolve", commit, ...path.split("/"));
  }

  async #existing(path: string): Promise<HubFile> {
    return await this.#find(path) ?? fail(`${path} in ${this.name}`, "it must exist");
  }

  async #find(path: string): Promise<HubFile | undefined> {
    const { folder } = this.location;
    const whole = folder === "" ? checkedPath(path) : `${folder}/${checkedPath(path)}`;
    return (await this.#list()).files.get(whole);
  }

  async #list(): Promise<HubIndex> {
    this.#signal.throwIfAborted();
    this.#index ??= this.#open().then(({ store, access, settings: { offline } }) =>
      findIndex(this.location, {
        store,
        access,
        offline,
        onDownload: this.options.onDownload,
        signal: this.#signal,
      })
    );
    this.#index.catch(() => this.#index = undefined); // the next caller may have better luck
    return await this.#index;
  }

  async #open(): Promise<Opened> {
    this.#opened ??= this.#openFirst();
    this.#opened.catch(() => this.#opened = undefined);
    return await this.#opened;
  }

  async #openFirst(): Promise<Opened> {
    const { clock = CLOCK, fetch, settings = readHubSettings(), onDownload } = this.options;
    const text = "the browser has no room: what comes is kept until the model is closed";
    const onFull = (): void => onDownload?.({ kind: "notice", path: this.name, text });
    const store = this.options.store ?? await openPlatformStore(onFull);
    const { endpoint, token } = settings;
    return { store, settings, access: { endpoint, token, fetch, clock } };
  }
}
