/**
 * A blob store of chunks, for places that keep named values and no growing files: memory, and the Cache
 * API of browsers. A blob is never held whole; what no longer fits where chunks are kept stays in memory.
 */

import { AssetError } from "../../errors.ts";
import type { BeginOptions, BlobStore, PartialBlob } from "./blob_store.ts";
import { abortable } from "./retry.ts";
import { type ByteRange, checkRange } from "../source.ts";

export interface ValueStore {
  /** For messages. */
  readonly name: string;
  /** A value; `undefined` when there is none. */
  get(name: string): Promise<Uint8Array | undefined>;
  /** Keeps a value. */
  put(name: string, bytes: Uint8Array<ArrayBuffer>): Promise<void>;
  /** Drops a value, if there is one. */
  drop(name: string): Promise<void>;
}

/** Size of a chunk: 8 MiB. */
export const CHUNK_BYTES = 1 << 23;

/** A store that forgets. */
export function openMemoryStore(): BlobStore {
  const values = new Map<string, Uint8Array>();
  return openChunkStore({
    name: "memory",
    get: (name) => Promise.resolve(values.get(name)),
    put: (name, bytes) => Promise.resolve(void values.set(name, bytes)),
    drop: (name) => Promise.resolve(void values.delete(name)),
  });
}

/**
 * A store in a browser's cache of that name; memory where the browser forbids it. When the browser has no
 * room left, what comes stays in memory and is there until the store is closed.
 *
 * @param onFull Called once, when there is no room left.
 */
export async function openCacheStore(name: string, onFull: () => void): Promise<BlobStore> {
  const cache = await globalThis.caches?.open(name).catch(() => undefined);
  return cache === undefined
    ? openMemoryStore()
    : openChunkStore(spilling(cacheValues(cache), onFull));
}

/** Of a cache: values under URLs that no server has. */
export function cacheValues(cache: Cache): ValueStore {
  const urlOf = (name: string): string =>
    `https://blobs.invalid/${name.split("/").map(encodeURIComponent).join("/")}`;
  return {
    name: "the browser's cache",
    get: async (name) => {
      const response = await cache.match(urlOf(name));
      return response && new Uint8Array(await response.arrayBuffer());
    },
    put: (name, bytes) => cache.put(urlOf(name), new Response(bytes)),
    drop: async (name) => void await cache.delete(urlOf(name)),
  };
}

/** A value store that continues in memory when the given one is full. */
export function spilling(values: ValueStore, onFull: () => void): ValueStore {
  const spilled = new Map<string, Uint8Array>();
  let full = false;
  return {
    name: values.name,
    get: async (name) => spilled.get(name) ?? await values.get(name),
    drop: async (name) => {
      spilled.delete(name);
      await values.drop(name);
    },
    put: async (name, bytes) => {
      try {
        if (!full) return await values.put(name, bytes);
      } catch (error) {
        if (!(error instanceof Error)) throw error; // QuotaExceededError, or whatever a browser calls it
        full = true;
        onFull();
      }
      spilled.set(name, bytes);
    },
  };
}

/** A blob store that keeps chunks as values. */
export function openChunkStore(values: ValueStore): BlobStore {
  return new ChunkStore(values);
}

class ChunkStore implements BlobStore {
  readonly name: string;
  readonly #locks = new Map<string, Promise<void>>();
  /** The chunk that was read last: blocks are smaller than chunks, and read in a row. */
  #recent: { readonly name: string; readonly bytes: Uint8Array } | undefined;

  constructor(readonly values: ValueStore) {
    this.name = values.name;
  }

  async size(key: string): Promise<number | undefined> {
    const text = await this.readText(`${key}/whole`);
    return text === undefined ? undefined : Number(text);
  }

  async read(key: string, { offset, length }: ByteRange): Promise<Uint8Array> {
    const size = await this.size(key);
    checkRange(`${key} in ${this.name}`, { offset, length }, size ?? 0);
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length;) {
      const [index, from] = [
        Math.floor((offset + done) / CHUNK_BYTES),
        (offset + done) % CHUNK_BYTES,
      ];
      const chunk = await this.#chunk(`${key}/${index}`);
      const part = chunk?.subarray(from, from + length - done) ?? new Uint8Array();
      if (part.length === 0) { // browsers evict what they like: it comes again next time
        await this.values.drop(`${key}/whole`);
        lost(key, this.name);
      }
      bytes.set(part, done);
      done += part.length;
    }
    return bytes;
  }

  async begin(key: string, options: BeginOptions): Promise<PartialBlob | undefined> {
    const unlock = await this.#lock(key, options);
    this.#recent = undefined; // it may be written again
    try {
      if (await this.size(key) === options.size) return unlock();
      return await PartialChunks.open(this.values, { key, unlock });
    } catch (error) {
      unlock();
      throw error;
    }
  }

  async readText(path: string): Promise<string | undefined> {
    const bytes = await this.values.get(path);
    return bytes && new TextDecoder().decode(bytes);
  }

  async writeText(path: string, text: string): Promise<void> {
    await this.values.put(path, new TextEncoder().encode(text));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async #chunk(name: string): Promise<Uint8Array | undefined> {
    if (this.#recent?.name === name) return this.#recent.bytes;
    const bytes = await this.values.get(name);
    this.#recent = bytes && { name, bytes };
    return bytes;
  }

  /** In turn within this process, and among the tabs of a browser where it has locks. */
  async #lock(key: string, { onWait, signal }: BeginOptions): Promise<() => undefined> {
    let unlock = (): undefined => undefined;
    const held = new Promise<void>((resolve) => { // Node 20 has no Promise.withResolvers
      unlock = (): undefined => void resolve();
    });
    const before = this.#locks.get(key);
    if (before !== undefined) onWait?.();
    this.#locks.set(key, Promise.all([before, held]).then(() => undefined));
    try {
      await abortable(before ?? Promise.resolve(), signal);
      await abortable(lockTabs(key, held), signal);
    } catch (error) {
      unlock();
      throw error;
    }
    return unlock;
  }
}

/** As Web Locks are, for type checks without a browser's types. */
interface TabLocks {
  request(name: string, use: () => Promise<void>): Promise<void>;
}

/** Resolves when no other tab has the lock; ours until `held` resolves. */
async function lockTabs(key: string, held: Promise<void>): Promise<void> {
  const locks: TabLocks | undefined = Reflect.get(globalThis.navigator ?? {}, "locks"); // browsers have them
  if (locks === undefined) return;
  await new Promise<void>((resolve, reject) => {
    locks.request(`invardiff ${key}`, () => (resolve(), held)).catch(reject);
  });
}

function lost(key: string, name: string): never {
  throw new AssetError(`Cannot read ${key} in ${name}: all of its chunks must be there`);
}

interface PartialOptions {
  readonly key: string;
  readonly unlock: () => void;
}

class PartialChunks implements PartialBlob {
  #chunks = 0;
  #last = new Uint8Array(CHUNK_BYTES);
  #filled = 0;

  private constructor(readonly values: ValueStore, readonly options: PartialOptions) {}

  /** With the whole chunks that an earlier try left, in a row from the first. */
  static async open(values: ValueStore, options: PartialOptions): Promise<PartialChunks> {
    const partial = new PartialChunks(values, options);
    await values.drop(`${options.key}/whole`); // of another size
    while ((await values.get(partial.#name(partial.#chunks)))?.length === CHUNK_BYTES) {
      partial.#chunks++;
    }
    return partial;
  }

  get length(): number {
    return this.#chunks * CHUNK_BYTES + this.#filled;
  }

  async *content(signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    for (let i = 0; i < this.#chunks; i++) {
      signal?.throwIfAborted();
      yield await this.values.get(this.#name(i)) ?? lost(this.options.key, this.values.name);
    }
    yield this.#last.subarray(0, this.#filled);
  }

  async append(bytes: Uint8Array): Promise<void> {
    for (let rest = bytes; rest.length > 0;) {
      const taken = rest.subarray(0, CHUNK_BYTES - this.#filled);
      this.#last.set(taken, this.#filled);
      this.#filled += taken.length;
      rest = rest.subarray(taken.length);
      if (this.#filled === CHUNK_BYTES) await this.#flush();
    }
  }

  async restart(): Promise<void> {
    for (; this.#chunks > 0; this.#chunks--) await this.values.drop(this.#name(this.#chunks - 1));
    this.#filled = 0;
  }

  async commit(): Promise<void> {
    const size = this.length;
    if (this.#filled > 0) await this.#flush();
    await this.values.put(`${this.options.key}/whole`, new TextEncoder().encode(`${size}`));
    this.options.unlock();
  }

  release(): Promise<void> {
    this.options.unlock(); // the last chunk is not whole: it comes again
    return Promise.resolve();
  }

  async discard(): Promise<void> {
    await this.restart();
    this.options.unlock();
  }

  async #flush(): Promise<void> {
    await this.values.put(this.#name(this.#chunks), this.#last.slice(0, this.#filled));
    this.#chunks++;
    this.#filled = 0;
  }

  #name(index: number): string {
    return `${this.options.key}/${index}`;
  }
}
