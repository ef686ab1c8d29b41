/**
 * Where bytes come from: a directory on disk, or files held in memory (for a URL see
 * `url_source.ts`). Ranges are read as they are needed; nothing is read whole because it was opened.
 */

import type { FileHandle } from "node:fs/promises";
import { fail, isErrorKind, isMissing, unreadable } from "./read_errors.ts";

/** A stretch of a file, in bytes. */
export interface ByteRange {
  /** First byte. */
  readonly offset: number;
  /** How many. */
  readonly length: number;
}

/** Named files that can be read in ranges. The bytes given out must not be written to. */
export interface Source {
  /** For messages: the directory, the URL prefix, or `memory`. */
  readonly name: string;
  /**
   * Size of a file in bytes; `undefined` when there is none of that name.
   *
   * @throws {AssetError} When it cannot be told, or when the path leaves the source.
   */
  size(path: string): Promise<number | undefined>;
  /**
   * Exactly the bytes of the range.
   *
   * @throws {AssetError} When they are not all there, or cannot be read.
   */
  read(path: string, range: ByteRange): Promise<Uint8Array>;
  /**
   * The range in blocks of `BLOCK_BYTES`, the last one shorter. A block is good until the next one is
   * asked for, which may take its place.
   *
   * @throws {AssetError} As `read()`; the signal's reason when it is aborted.
   */
  stream(path: string, range: ByteRange, signal?: AbortSignal): AsyncIterable<Uint8Array>;
  /** Names of what lies in a folder, at the top unless given; `undefined` where nothing can be listed. */
  list(folder?: string): Promise<readonly string[] | undefined>;
  /** Closes what reading opened; reading is over. */
  close(): Promise<void>;
}

/** Size of a streamed block: 1 MiB, a multiple of every element size. */
export const BLOCK_BYTES = 1 << 20;

/** Opens files held in memory; the map's keys are their paths. */
export function openMemory(files: ReadonlyMap<string, Uint8Array>): Source {
  const read = (path: string, range: ByteRange): Promise<Uint8Array> => {
    const bytes = files.get(checkedPath(path)) ?? fail(`${path} in memory`, "it must exist");
    checkRange(`${path} in memory`, range, bytes.length);
    return Promise.resolve(bytes.subarray(range.offset, range.offset + range.length));
  };
  return {
    name: "memory",
    size: async (path) => await Promise.resolve(files.get(checkedPath(path))?.length),
    read: async (path, range) => await read(path, range),
    stream: (path, range, signal) => blocks(range, (part) => read(path, part), signal),
    list: (folder) => Promise.resolve(namesIn(files.keys(), folder)),
    close: () => Promise.resolve(),
  };
}

/** Opens a directory on disk, by its path or `file:` URL. It is touched by the first read only. */
export function openDirectory(directory: string | URL): Source {
  return new DirectorySource(directory);
}

interface OpenFile {
  /** For messages. */
  readonly thing: string;
  readonly handle: FileHandle;
  readonly size: number;
}

/** A stretch of a file that was read together with what was asked for. */
interface ReadAhead {
  readonly path: string;
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** Files have small tensors of one type beside each other, and a graph asks for two types in turn. */
const READ_AHEAD = 2;

class DirectorySource implements Source {
  readonly name: string;
  readonly #files = new Map<string, Promise<OpenFile | undefined>>();
  #ahead: readonly ReadAhead[] = [];
  #closed = false;

  constructor(readonly directory: string | URL) {
    this.name = String(directory);
  }

  async size(path: string): Promise<number | undefined> {
    return (await this.#open(path))?.size;
  }

  async read(path: string, range: ByteRange): Promise<Uint8Array> {
    const file = await this.#existing(path, range);
    return await fill(new Uint8Array(range.length), file, range);
  }

  /** One buffer serves all blocks: the engine would not hurry to free one for each. */
  async *stream(
    path: string,
    range: ByteRange,
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    const file = await this.#existing(path, range);
    const { length } = range;
    if (length > 0 && length < BLOCK_BYTES) {
      signal?.throwIfAborted();
      return yield await this.#readAhead(path, file, range);
    }
    const buffer = new Uint8Array(Math.min(BLOCK_BYTES, length));
    yield* blocks(range, (part) => fill(buffer.subarray(0, part.length), file, part), signal);
  }

  /** A small range, with what comes after it in the file: a read costs as much as copying half of such a block. */
  async #readAhead(
    path: string,
    file: OpenFile,
    { offset, length }: ByteRange,
  ): Promise<Uint8Array> {
    const has = (read: ReadAhead): boolean =>
      read.path === path && read.offset <= offset &&
      offset + length <= read.offset + read.bytes.length;
    let found = this.#ahead.find(has);
    if (found === undefined) {
      const more = { offset, length: Math.min(BLOCK_BYTES, file.size - offset) };
      const bytes = await fill(new Uint8Array(more.length), file, more)
        .catch(() => fill(new Uint8Array(length), file, { offset, length })); // which says what is wrong with it
      found = { path, offset, bytes };
      this.#ahead = [found, ...this.#ahead].slice(0, READ_AHEAD);
    }
    const from = offset - found.offset;
    return found.bytes.subarray(from, from + length);
  }

  async list(folder?: string): Promise<readonly string[]> {
    try {
      const { readdir } = await import("node:fs/promises");
      return await readdir(await this.#locate(folder === undefined ? "." : checkedPath(folder)));
    } catch (cause) {
      if (isErrorKind(cause, "ENOTDIR", "NotADirectory")) {
        fail(this.name, "it must be a directory or a file of weights, told by its name", cause);
      }
      return unreadable(this.name, cause);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#ahead = [];
    const files = await Promise.allSettled(this.#files.values());
    this.#files.clear();
    for (const file of files) if (file.status === "fulfilled") await file.value?.handle.close();
  }

  /** The file, which has this range. */
  async #existing(path: string, range: ByteRange): Promise<OpenFile> {
    const file = await this.#open(path) ?? fail(`${path} in ${this.name}`, "it must exist");
    checkRange(file.thing, range, file.size);
    return file;
  }

  async #open(path: string): Promise<OpenFile | undefined> {
    checkedPath(path);
    if (this.#closed) fail(`${path} in ${this.name}`, "it must be read before it is closed");
    const file = this.#files.get(path) ?? this.#openFirst(path);
    this.#files.set(path, file);
    file.catch(() => this.#files.delete(path)); // so that the next caller tries again
    return await file;
  }

  async #openFirst(path: string): Promise<OpenFile | undefined> {
    const thing = `${path} in ${this.name}`;
    try {
      const { open, stat } = await import("node:fs/promises");
      const location = await this.#locate(path);
      const status = await stat(location); // before open, which waits forever on a pipe
      if (!status.isFile()) fail(thing, "it must be a file");
      return { thing, handle: await open(location, "r"), size: status.size };
    } catch (cause) {
      return isMissing(cause) ? undefined : unreadable(thing, cause);
    }
  }

  async #locate(path: string): Promise<string> {
    if (!(this.directory instanceof URL)) return `${this.directory}/${path}`;
    const { fileURLToPath } = await import("node:url");
    return `${fileURLToPath(this.directory)}/${path}`;
  }
}

/** Names of what lies in a folder, by the paths of all files. */
export function namesIn(paths: Iterable<string>, folder = ""): readonly string[] {
  const prefix = folder === "" ? "" : `${folder}/`;
  const inside = [...paths].filter((path) => path.startsWith(prefix));
  return [...new Set(inside.map((path) => path.slice(prefix.length).split("/", 1)[0]!))]; // of any text
}

/** Refuses a path that is absolute or leaves the source. Returns the path. */
export function checkedPath(path: string): string {
  const parts = path.split(/[/\\]/);
  const strange = parts.some((part) => part === "" || part === "." || part === "..");
  if (strange || path.includes("\0") || /^[a-z]:/i.test(path)) {
    fail(JSON.stringify(path), "its path must be relative and stay inside of the model directory");
  }
  return path;
}

/**
 * Refuses a range that is not inside of a file of this size, before any memory is taken for it.
 *
 * @throws {AssetError} When bytes are missing.
 */
export function checkRange(thing: string, { offset, length }: ByteRange, size: number): void {
  const valid = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && length >= 0;
  if (valid && offset >= 0 && offset + length <= size) return;
  fail(thing, `it must have bytes ${offset} to ${offset + length}: current value is ${size} bytes`);
}

/** Reads exactly the range, as long as the bytes that it fills. */
async function fill(
  bytes: Uint8Array,
  { handle, thing }: OpenFile,
  range: ByteRange,
): Promise<Uint8Array> {
  let done = 0;
  while (done < range.length) {
    const more = await handle.read(bytes, done, range.length - done, range.offset + done)
      .catch((cause: unknown) => unreadable(thing, cause));
    if (more.bytesRead === 0) checkRange(thing, range, range.offset + done); // it was truncated
    done += more.bytesRead;
  }
  return bytes;
}

/** A range by reads of `BLOCK_BYTES`. */
export async function* blocks(
  { offset, length }: ByteRange,
  read: (part: ByteRange) => Promise<Uint8Array>,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  for (let done = 0; done < length; done += BLOCK_BYTES) {
    signal?.throwIfAborted();
    yield await read({ offset: offset + done, length: Math.min(BLOCK_BYTES, length - done) });
  }
}
