/**
 * Files that are downloaded into a store when they are read, and read from there.
 */

import type { z } from "npm:zod@4.6.7";
import { AssetError } from "../../errors.ts";
import type { BlobStore } from "../store/blob_store.ts";
import { download, type DownloadOptions, type RemoteBlob } from "./download.ts";
import { asking, type HubAccess, type Question, type UseOf } from "./hub_request.ts";
import { type HubSettings, openPlatformStore, readHubSettings } from "./hub_settings.ts";
import { checkJson, parseJson } from "../json.ts";
import { collect, inBlocks } from "../store/ranged_response.ts";
import { abortable, CLOCK, persist, type RetryOptions } from "../store/retry.ts";
import { fail } from "../read_errors.ts";
import { blocks, type ByteRange, checkRange, type Source } from "../source.ts";

export interface HubOptions
  extends
    Pick<DownloadOptions, "onDownload" | "signal">,
    Partial<Pick<HubAccess, "fetch" | "clock">> {
  /** Where files are kept; the platform's cache unless given. Closed with the source. */
  readonly store?: BlobStore;
  /** Endpoint, token and offline mode; the environment's unless given. */
  readonly settings?: HubSettings;
}

/** Files of which copies are kept. */
export interface KeptSource extends Source {
  /**
   * Brings a file into the cache; returns when it is there.
   *
   * @throws {AssetError} When it is absent or cannot be had; the signal's reason when it is aborted.
   */
  fetch(path: string, signal?: AbortSignal): Promise<void>;
  /** Name of the store that files are kept in: a folder, on a disk. */
  keptIn(): Promise<string>;
  /**
   * The commit that the files are of; `undefined` where there are no commits.
   *
   * @throws {AssetError} When it cannot be found.
   */
  commit(): Promise<string | undefined>;
}

/** What sources of kept files do each in their own way. */
export interface Finding extends Pick<KeptSource, "list" | "commit"> {
  /** Finds a file; `undefined` when there is none. */
  find(path: string): Promise<RemoteBlob | undefined>;
}

/** What was opened for the first file. */
export interface OpenedStore
  extends Pick<DownloadOptions, "store" | "access">, Pick<HubSettings, "offline"> {}

/** A file up to this size is downloaded by its first read, whatever is read: 1 MiB. */
const SMALL_BYTES = 1 << 20;
/** A read that begins this early is of a header: it needs no download of the rest. */
const HEADER_OFFSET = 8;

/** Keeps files for one source, until that is closed. */
export class KeptFiles {
  /** Aborted when the source is closed, or by its caller. */
  readonly signal: AbortSignal;
  readonly #closed = new AbortController();
  readonly #found = new Map<string, Promise<RemoteBlob | undefined>>();
  readonly #downloads = new Map<string, Promise<void>>();
  #opened: Promise<OpenedStore> | undefined;

  /** Nothing is opened before it is needed. `name` is the source's. */
  constructor(readonly name: string, readonly options: HubOptions) {
    const { signal } = options;
    const signals = [this.#closed.signal, ...(signal === undefined ? [] : [signal])];
    this.signal = AbortSignal.any(signals);
  }

  /** Store and access, opened once. @throws {AssetError} When the environment is in the way. */
  async open(): Promise<OpenedStore> {
    this.signal.throwIfAborted();
    this.#opened ??= this.#openFirst();
    this.#opened.catch(() => this.#opened = undefined); // so that the next caller tries again
    return await this.#opened;
  }

  /** A range of a file; of a large one that is not kept yet, its header comes without the rest. */
  async read(blob: RemoteBlob, range: ByteRange): Promise<Uint8Array> {
    checkRange(`${blob.path} in ${this.name}`, range, blob.size);
    const { store, offline } = await this.open();
    const isHeader = range.offset <= HEADER_OFFSET && blob.size > SMALL_BYTES && !offline;
    if (isHeader && await store.size(blob.key) !== blob.size) {
      const header = await this.#readAhead(blob, range);
      if (header !== undefined) return header;
    }
    await this.bring(blob);
    return await store.read(blob.key, range);
  }

  async *stream(
    find: () => Promise<RemoteBlob>,
    range: ByteRange,
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    const blob = await find();
    checkRange(`${blob.path} in ${this.name}`, range, blob.size);
    await this.bring(blob, signal);
    const { store } = await this.open();
    yield* blocks(range, (part) => store.read(blob.key, part), signal);
  }

  /** Downloads once for all who read the file; a reader that is stopped leaves it to the others. */
  async bring(blob: RemoteBlob, signal?: AbortSignal): Promise<void> {
    this.signal.throwIfAborted();
    const { key } = blob;
    const running = this.#downloads.get(key) ?? this.#download(blob);
    this.#downloads.set(key, running);
    running.catch(() => this.#downloads.delete(key)); // so that the next caller tries again
    await abortable(running, signal);
  }

  /** The source of the files that are found so. */
  source({ find, list, commit }: Finding): KeptSource {
    const findOnce = async (path: string): Promise<RemoteBlob | undefined> => {
      this.signal.throwIfAborted();
      const found = this.#found.get(path) ?? find(path);
      this.#found.set(path, found);
      found.catch(() => this.#found.delete(path)); // so that the next caller tries again
      return await found;
    };
    const existing = async (path: string): Promise<RemoteBlob> =>
      await findOnce(path) ?? fail(`${path} in ${this.name}`, "it must exist");
    return {
      name: this.name,
      list,
      commit,
      size: async (path) => (await findOnce(path))?.size,
      read: async (path, range) => await this.read(await existing(path), range),
      stream: (path, range, signal) => this.stream(() => existing(path), range, signal),
      fetch: async (path, signal) => await this.bring(await existing(path), signal),
      keptIn: async () => (await this.open()).store.name,
      close: () => this.close(),
    };
  }

  /** Tells what a person may want to know of a file or repository. */
  tell(path: string, text: string): void {
    this.options.onDownload?.({ kind: "notice", path, text });
  }

  /**
   * Asks for a file, and again after interruptions; `use` reads the answer.
   *
   * @throws {AssetError} When there is no answer, or the wrong one; the signal's reason when it is aborted.
   */
  async ask<T>(
    url: URL,
    use: UseOf<T>,
    { range, tries }: Pick<Question, "range"> & Pick<RetryOptions, "tries"> = {},
  ): Promise<T> {
    const { access } = await this.open();
    const { signal } = this;
    return await persist(() => asking(url, { ...access, range, signal }, use), {
      ...{ clock: access.clock, signal, tries },
      onRetry: (text) => this.tell(url.pathname, text),
    });
  }

  /** A short text that was kept; `undefined` when there is none. */
  async readText(path: string): Promise<string | undefined> {
    return await (await this.open()).store.readText(path);
  }

  /** What was kept as JSON; `undefined` when there is none, or none of use. */
  async recall<T>(path: string, schema: z.ZodType<T>): Promise<T | undefined> {
    const text = await this.readText(path);
    if (text === undefined) return undefined;
    try {
      return checkJson(parseJson(new TextEncoder().encode(text), path), schema, path);
    } catch (error) {
      if (error instanceof AssetError) return undefined;
      throw error;
    }
  }

  /** Keeps a short text; a cache that cannot be written to is told of, and asked for it again next time. */
  async remember(path: string, text: string): Promise<void> {
    try {
      await (await this.open()).store.writeText(path, text);
    } catch (error) {
      if (!(error instanceof AssetError)) throw error;
      this.tell(path, error.message);
    }
  }

  /** Stops downloads and closes the store. */
  async close(): Promise<void> {
    this.#closed.abort(
      new AssetError(`Cannot read ${this.name}: it must be read before it is closed`),
    );
    await Promise.allSettled([...this.#downloads.values(), ...this.#found.values()]);
    await (await this.#opened?.catch(() => undefined))?.store.close();
  }

  async #download(blob: RemoteBlob): Promise<void> {
    const { store, access, offline } = await this.open();
    if (await store.size(blob.key) === blob.size) return;
    if (offline) {
      fail(
        `${blob.path} of ${this.name} offline`,
        "it must be in the cache: current value is absent",
      );
    }
    const { onDownload } = this.options;
    await download(blob, { store, access, onDownload, signal: this.signal });
  }

  /** Part of a file, straight from the server; `undefined` where it has no ranges. */
  async #readAhead(
    { url, hash, etag }: RemoteBlob,
    range: ByteRange,
  ): Promise<Uint8Array | undefined> {
    if (range.length === 0) return new Uint8Array();
    const read: UseOf<Uint8Array | undefined> = async ({ response }, body) => {
      const same = hash !== undefined || response.headers.get("etag") === etag;
      if (response.status !== 206 || !same) return undefined;
      return await collect(inBlocks(body, url, range.length));
    };
    return await this.ask(url, read, { range });
  }

  async #openFirst(): Promise<OpenedStore> {
    const { clock = CLOCK, fetch, settings = readHubSettings() } = this.options;
    const full = "the browser has no room left: downloads are kept until the model is closed";
    const store = this.options.store ??
      await openPlatformStore(() => this.tell(this.name, full));
    return { store, offline: settings.offline, access: { ...settings, fetch, clock } };
  }
}
