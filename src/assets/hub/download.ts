/**
 * One file into a blob store: by ranges, taken up where it was cut, hashed as it comes. What the hash
 * does not confirm never gets its key.
 */

import { AssetError } from "../../errors.ts";
import { type BlobStore, type PartialBlob, TakenError } from "../store/blob_store.ts";
import { type ContentHash, type RunningHash, startHash } from "../store/content_hash.ts";
import { type DownloadEvent, DownloadMeter } from "./download_meter.ts";
import { type Answer, asking, type HubAccess, RangeRefusedError } from "./hub_request.ts";
import { contentRange, plain } from "../store/ranged_response.ts";
import { Interruption, persist } from "../store/retry.ts";

/** A file that is wanted, known before it is asked for. */
export interface RemoteBlob {
  /** Where it is asked for; a redirect may lead elsewhere. */
  readonly url: URL;
  /** Its path, for progress. */
  readonly path: string;
  /** Bytes that it must have. */
  readonly size: number;
  /** What it is called in the store. */
  readonly key: string;
  /** What its bytes must hash to, where that is known. */
  readonly hash?: ContentHash | undefined;
  /** The strong etag that it must have, where there is no hash. */
  readonly etag?: string | undefined;
}

export interface DownloadOptions {
  readonly store: BlobStore;
  readonly access: HubAccess;
  /** Called with its progress, and with notices. */
  readonly onDownload?: ((event: DownloadEvent) => void) | undefined;
  /** Stops it; what was downloaded is kept. */
  readonly signal?: AbortSignal | undefined;
}

/** Whole downloads that may have the wrong hash: of a leftover's bytes, then of fresh ones. */
const CHANCES = 2;
/** Answers in a row that do not go on where a leftover ends before it is given up: the first may be a slip. */
const MISPLACED = 2;

/**
 * Returns when the blob is in the store, even if another process brought it.
 *
 * @throws {AssetError} When it cannot be had, or is not what it must be.
 */
export async function download(blob: RemoteBlob, options: DownloadOptions): Promise<void> {
  const { store, access: { clock }, signal } = options;
  const { path, size } = blob;
  const tell = (text: string): void => options.onDownload?.({ kind: "notice", path, text });
  for (;;) {
    const partial = await store.begin(blob.key, {
      size,
      clock,
      signal,
      onWait: () => tell("another process is downloading it: waiting"),
    });
    if (partial === undefined) return;
    try {
      await fill(new Filling(blob, partial, options), tell);
      return await partial.commit();
    } catch (error) {
      if (error instanceof WrongHashError) await partial.discard();
      else await partial.release();
      if (!(error instanceof TakenError)) throw error;
    }
  }
}

class WrongHashError extends AssetError {}

/** Fetches until the hash is right. */
async function fill(filling: Filling, tell: (text: string) => void): Promise<void> {
  const { blob, options: { access, signal } } = filling;
  for (let chance = 1;; chance++) {
    await filling.rehash();
    await persist(() => receive(filling), {
      clock: access.clock,
      signal,
      reached: () => filling.length,
      onRetry: tell,
    });
    const actual = filling.hex();
    if (blob.hash === undefined || actual === blob.hash.hex) return;
    const kind = blob.hash.kind === "git" ? "git blob hash" : "sha256";
    const message = `Cannot read ${plain(blob.url)}: its ${kind} must be ${blob.hash.hex}: ` +
      `current value is ${actual}`;
    if (chance === CHANCES) throw new WrongHashError(message);
    tell(`${message}; starting afresh`);
    await filling.restart();
  }
}

/** A partial blob and the hash of what it has. */
class Filling {
  readonly #meter: DownloadMeter;
  #hash: RunningHash | undefined;
  #told = false;
  #misplaced = 0;
  /** The strong etag of what was received; another one later is another file. */
  etag: string | undefined;

  constructor(
    readonly blob: RemoteBlob,
    readonly partial: PartialBlob,
    readonly options: DownloadOptions,
  ) {
    this.etag = blob.etag;
    this.#meter = new DownloadMeter(
      { path: blob.path, total: blob.size },
      options.access.clock.now,
    );
  }

  get length(): number {
    return this.partial.length;
  }

  /** Hashes what is there from the first byte. */
  async rehash(): Promise<void> {
    const { hash, size } = this.blob;
    this.#hash = hash && await startHash(hash.kind, size);
    if (hash !== undefined) {
      for await (const part of this.partial.content(this.options.signal)) this.#hash?.update(part);
    }
    this.#progress();
  }

  async append(bytes: Uint8Array): Promise<void> {
    this.#misplaced = 0;
    this.#hash?.update(bytes);
    await this.partial.append(bytes);
    this.#progress();
  }

  async restart(): Promise<void> {
    this.etag = this.blob.etag;
    await this.partial.restart();
    await this.rehash();
  }

  /** An answer does not go on where we are. Where none does, only the first byte is left to begin from. */
  async misplaced(): Promise<void> {
    if (++this.#misplaced < MISPLACED || this.length === 0) return;
    this.#misplaced = 0;
    await this.restart();
  }

  hex(): string | undefined {
    return this.#hash?.hex();
  }

  #progress(): void {
    if (this.length === 0 && this.#told) return;
    this.#told = true;
    this.options.onDownload?.(this.#meter.at(this.length));
  }
}

/** One request for all that is missing. */
async function receive(filling: Filling): Promise<void> {
  const { blob: { url, size }, options: { access, signal } } = filling;
  if (filling.length >= size) return;
  const range = { offset: filling.length, length: size - filling.length };
  try {
    await asking(url, { ...access, range, signal }, async (answer, body) => {
      await place(filling, answer);
      for await (const part of body) {
        await filling.append(part.subarray(0, size - filling.length));
        if (filling.length === size) return; // bytes beyond the size are ignored
      }
    });
  } catch (cause) {
    if (!(cause instanceof RangeRefusedError) || range.offset === 0) throw cause;
    await filling.misplaced();
    throw new Interruption(cause.message, { cause });
  }
  if (filling.length === size) return;
  throw new Interruption(
    `Cannot read ${
      plain(url)
    }: it must have ${size} bytes: current value is ${filling.length} bytes`,
  );
}

/** Proves that the answer continues where we are; or starts again with it. */
async function place(filling: Filling, { response, linkedHash }: Answer): Promise<void> {
  const { url, hash, size } = filling.blob;
  if (hash?.kind === "sha256" && linkedHash !== undefined && linkedHash !== hash.hex) {
    throw interrupted(url, "its x-linked-etag", hash.hex, linkedHash);
  }
  const etag = strongEtag(response);
  const changed = etag !== undefined && filling.etag !== undefined && etag !== filling.etag;
  if (changed && hash === undefined) {
    throw new AssetError(
      `Cannot read ${plain(url)}: it must stay the same while it is read: current value is ` +
        `etag ${etag}, it was ${filling.etag}`,
    );
  }
  const offset = firstByte(filling, response);
  if (offset === undefined) {
    const [wanted, got] = [filling.length, response.headers.get("content-range") ?? ""];
    await filling.misplaced();
    const range = `bytes ${wanted}-${size - 1}/${size}`;
    throw interrupted(url, "its content-range", range, JSON.stringify(got));
  }
  if (changed || offset < filling.length) {
    const before = filling.etag;
    await filling.restart();
    if (offset > 0) throw interrupted(url, "its etag", `${before}`, `${etag}`);
  }
  filling.etag ??= etag;
}

/** Where the answer begins: 0, or where we are; `undefined` when it is of neither use. */
function firstByte({ length, blob: { size } }: Filling, response: Response): number | undefined {
  if (response.status === 200) return 0;
  const { first, size: whole = size } = contentRange(response) ?? {};
  return whole === size && first === length ? length : undefined;
}

/** An etag that stands for the very bytes. */
export function strongEtag({ headers }: Response): string | undefined {
  const etag = headers.get("etag") ?? undefined;
  return etag?.startsWith("W/") ? undefined : etag;
}

function interrupted(url: URL, what: string, wanted: string, got: string): Interruption {
  return new Interruption(
    `Cannot read ${plain(url)}: ${what} must be ${wanted}: current value is ${got}`,
  );
}
