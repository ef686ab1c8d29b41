/**
 * `cached+https://…`: files below a URL prefix, kept in the cache by the etag that their server gives.
 *
 * @module
 */

import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import { z } from "zod";
import { AssetError } from "../errors.ts";
import { blobKey, type ContentHash } from "./content_hash.ts";
import { type RemoteBlob, strongEtag } from "./download.ts";
import { AbsentError, type Answer, ask, PATIENCE_MS, plain } from "./hub_request.ts";
import { checkJson, parseJson } from "./json.ts";
import { type HubOptions, KeptFiles } from "./kept_files.ts";
import { contentRange } from "./ranged_response.ts";
import { Interruption, persist, watching } from "./retry.ts";
import { type ByteRange, checkedPath, fail, type Source } from "./source.ts";

/** Files below a URL; those that were looked for and found can be brought into the cache. */
export interface CachedUrl extends Source {
  /** Paths that were found, in the order they were asked for. */
  found(): readonly string[];
  /** Brings a file into the cache. @throws {AssetError} When it cannot be had. */
  fetch(path: string, signal?: AbortSignal): Promise<void>;
  /** Name of the store that files are kept in: a folder, on a disk. */
  keptIn(): Promise<string>;
}

/** Opens a URL prefix, `http:` or `https:`; a query is kept for every file. Nothing is asked yet. */
export function openCachedUrl(prefix: string | URL, options: HubOptions = {}): CachedUrl {
  return new CachedFiles(new URL(prefix), options);
}

const remembered = z.strictObject({
  format: z.literal(1),
  size: z.int().nonnegative(),
  etag: z.string().max(1000),
  sha256: z.string().regex(/^[0-9a-f]{64}$/).optional(),
});
type Remembered = z.infer<typeof remembered>;

class CachedFiles implements CachedUrl {
  readonly name: string;
  readonly #kept: KeptFiles;
  readonly #files = new Map<string, Promise<RemoteBlob | undefined>>();
  readonly #found: string[] = [];

  constructor(readonly prefix: URL, options: HubOptions) {
    this.name = plain(prefix);
    this.#kept = new KeptFiles(this.name, options);
  }

  async size(path: string): Promise<number | undefined> {
    return (await this.#find(path))?.size;
  }

  async read(path: string, range: ByteRange): Promise<Uint8Array> {
    return await this.#kept.read(await this.#existing(path), range);
  }

  async *stream(
    path: string,
    range: ByteRange,
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    yield* this.#kept.stream(await this.#existing(path), range, signal);
  }

  list(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  found(): readonly string[] {
    return this.#found;
  }

  async fetch(path: string, signal?: AbortSignal): Promise<void> {
    await this.#kept.bring(await this.#existing(path), signal);
  }

  async keptIn(): Promise<string> {
    return (await this.#kept.open()).store.name;
  }

  async close(): Promise<void> {
    await this.#kept.close();
    await Promise.allSettled(this.#files.values());
  }

  async #existing(path: string): Promise<RemoteBlob> {
    return await this.#find(path) ?? fail(`${path} in ${this.name}`, "it must exist");
  }

  async #find(path: string): Promise<RemoteBlob | undefined> {
    this.#kept.signal.throwIfAborted();
    const file = this.#files.get(path) ?? this.#findFirst(path);
    this.#files.set(path, file);
    file.catch(() => this.#files.delete(path)); // the next caller may have better luck
    return await file;
  }

  /** Asks what the file is now; what it was last, when nobody answers or nobody may be asked. */
  async #findFirst(path: string): Promise<RemoteBlob | undefined> {
    const url = new URL(this.prefix);
    const names = checkedPath(path).split("/").map(encodeURIComponent);
    url.pathname = [url.pathname.replace(/\/$/, ""), ...names].join("/");
    const { store, offline } = await this.#kept.open();
    const place = `urls/${hashOf(url.href)}.json`;
    const known = parseRemembered(await store.readText(place));
    const file = offline ? known : await this.#probe(url, place, known);
    if (file === undefined) return undefined;
    this.#found.push(path);
    const hash: ContentHash | undefined = file.sha256 === undefined
      ? undefined
      : { kind: "sha256", hex: file.sha256 };
    const key = hash ? blobKey(hash) : `url-${hashOf(`${url.href}\n${file.etag}\n${file.size}`)}`;
    return { url, path, size: file.size, key, hash, etag: file.etag };
  }

  async #probe(
    url: URL,
    place: string,
    known: Remembered | undefined,
  ): Promise<Remembered | undefined> {
    const { access: { clock } } = await this.#kept.open();
    const { signal } = this.#kept;
    try {
      // Once, where there is something to fall back on.
      const tries = known === undefined ? {} : { tries: 1 };
      const file = await persist(() => this.#ask(url), { clock, signal, ...tries });
      const same = known?.etag === file.etag && known.size === file.size;
      if (!same) await this.#remember(place, file);
      return file;
    } catch (error) {
      if (error instanceof AbsentError) return undefined;
      if (known === undefined || !(error instanceof Interruption)) throw error;
      this.#kept.tell(plain(url), `${error.message}; using what is in the cache`);
      return known;
    }
  }

  /** One byte tells size and etag of the whole. */
  async #ask(url: URL): Promise<Remembered> {
    const { access } = await this.#kept.open();
    const { signal } = this.#kept;
    const range = { offset: 0, length: 1 };
    const watched = { what: plain(url), clock: access.clock, patience: PATIENCE_MS, signal };
    return await watching(watched, async (watch) => {
      const answer = await ask(url, { ...access, range, signal: watch.signal });
      await answer.response.body?.cancel();
      return describe(url, answer);
    });
  }

  async #remember(place: string, file: Remembered): Promise<void> {
    const { store } = await this.#kept.open();
    try {
      await store.writeText(place, JSON.stringify(file));
    } catch (error) {
      if (!(error instanceof AssetError)) throw error;
      this.#kept.tell(place, error.message); // a read-only cache: it is asked for again next time
    }
  }
}

function describe(url: URL, { response, linkedHash }: Answer): Remembered {
  const etag = strongEtag(response);
  const length = response.headers.get("content-length");
  const whole = response.status === 200 && length !== null ? Number(length) : undefined;
  const size = response.status === 206 ? contentRange(response)?.size : whole;
  if (etag === undefined || size === undefined) {
    throw new AssetError(
      `Cannot keep ${plain(url)}: its server must tell its size and a strong etag (without ` +
        `cached+ it is read all the same): current value is ${size ?? "no size"}, ${
          response.headers.get("etag") ?? "no etag"
        }`,
    );
  }
  const sha256 = /^[0-9a-f]{64}$/.test(linkedHash ?? "") ? { sha256: linkedHash } : {};
  return { format: 1, size, etag, ...sha256 };
}

/** A damaged one counts as none. */
function parseRemembered(text: string | undefined): Remembered | undefined {
  if (text === undefined) return undefined;
  try {
    const bytes = new TextEncoder().encode(text);
    return checkJson(parseJson(bytes, "the cache"), remembered, "the cache");
  } catch (error) {
    if (error instanceof AssetError) return undefined;
    throw error;
  }
}

function hashOf(text: string): string {
  return bytesToHex(sha256(new TextEncoder().encode(text)));
}
