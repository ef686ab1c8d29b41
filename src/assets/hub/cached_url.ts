/**
 * `cached+https://…`: files below a URL prefix, kept in the cache by the etag that their server gives.
 *
 * @module
 */

import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import { z } from "zod";
import { AssetError } from "../../errors.ts";
import { blobKey, type ContentHash } from "../store/content_hash.ts";
import { type RemoteBlob, strongEtag } from "./download.ts";
import { AbsentError, type Answer, ask, PATIENCE_MS, plain } from "./hub_request.ts";
import { checkJson, parseJson } from "../json.ts";
import { type HubOptions, KeptFiles, type KeptSource } from "./kept_files.ts";
import { contentRange } from "../store/ranged_response.ts";
import { Interruption, persist, watching } from "../store/retry.ts";
import { checkedPath } from "../source.ts";

/** Opens a URL prefix, `http:` or `https:`; a query is kept for every file. Nothing is asked yet. */
export function openCachedUrl(prefix: string | URL, options: HubOptions = {}): KeptSource {
  const files = new CachedFiles(new URL(prefix), options);
  return files.kept.source({
    find: (path) => files.find(path),
    list: () => Promise.resolve(undefined),
    commit: () => Promise.resolve(undefined),
    settled: () => files.settled(),
  });
}

const remembered = z.strictObject({
  format: z.literal(1),
  size: z.int().nonnegative(),
  etag: z.string().max(1000),
  sha256: z.string().regex(/^[0-9a-f]{64}$/).optional(),
});
type Remembered = z.infer<typeof remembered>;

class CachedFiles {
  readonly kept: KeptFiles;
  readonly #files = new Map<string, Promise<RemoteBlob | undefined>>();

  constructor(readonly prefix: URL, options: HubOptions) {
    this.kept = new KeptFiles(plain(prefix), options);
  }

  async find(path: string): Promise<RemoteBlob | undefined> {
    this.kept.signal.throwIfAborted();
    const file = this.#files.get(path) ?? this.#findFirst(path);
    this.#files.set(path, file);
    file.catch(() => this.#files.delete(path)); // the next caller may have better luck
    return await file;
  }

  async settled(): Promise<void> {
    await Promise.allSettled(this.#files.values());
  }

  /** Asks what the file is now; what it was last, when nobody answers or nobody may be asked. */
  async #findFirst(path: string): Promise<RemoteBlob | undefined> {
    const url = new URL(this.prefix);
    const names = checkedPath(path).split("/").map(encodeURIComponent);
    url.pathname = [url.pathname.replace(/\/$/, ""), ...names].join("/");
    const { store, offline } = await this.kept.open();
    const place = `urls/${hashOf(url.href)}.json`;
    const known = parseRemembered(await store.readText(place));
    const file = offline ? known : await this.#probe(url, place, known);
    if (file === undefined) return undefined;
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
    const { access: { clock } } = await this.kept.open();
    const { signal } = this.kept;
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
      this.kept.tell(plain(url), `${error.message}; using what is in the cache`);
      return known;
    }
  }

  /** One byte tells size and etag of the whole. */
  async #ask(url: URL): Promise<Remembered> {
    const { access } = await this.kept.open();
    const { signal } = this.kept;
    const range = { offset: 0, length: 1 };
    const watched = { what: plain(url), clock: access.clock, patience: PATIENCE_MS, signal };
    return await watching(watched, async (watch) => {
      const answer = await ask(url, { ...access, range, signal: watch.signal });
      await answer.response.body?.cancel();
      return describe(url, answer);
    });
  }

  async #remember(place: string, file: Remembered): Promise<void> {
    const { store } = await this.kept.open();
    try {
      await store.writeText(place, JSON.stringify(file));
    } catch (error) {
      if (!(error instanceof AssetError)) throw error;
      this.kept.tell(place, error.message); // a read-only cache: it is asked for again next time
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
