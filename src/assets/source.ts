/**
 * Where bytes come from: a directory on disk, a URL prefix, or memory. Ranges are read as they are
 * needed; nothing is read whole because it was opened.
 *
 * @module
 */

import type { FileHandle } from "node:fs/promises";
import { AssetError } from "../errors.ts";

/** Named files that can be read in ranges. */
export interface Source {
  /** For messages: the directory, the URL prefix, or `memory`. */
  readonly name: string;
  /** Size of a file in bytes; `undefined` when there is none of that name. */
  size(path: string): Promise<number | undefined>;
  /** Exactly `length` bytes from `offset`. @throws {AssetError} When they cannot be had. */
  read(path: string, offset: number, length: number): Promise<Uint8Array>;
  /** Names of the files, where they can be listed. */
  list(): Promise<readonly string[] | undefined>;
  /** Closes what reading opened. */
  close(): Promise<void>;
}

/** Opens a directory on disk. */
export function openDirectory(directory: string | URL): Source {
  return new DirectorySource(directory);
}

/** Opens a URL prefix; files are fetched by range requests. */
export function openUrl(prefix: string | URL): Source {
  return new UrlSource(prefix);
}

/** Opens files held in memory. */
export function openMemory(files: ReadonlyMap<string, Uint8Array>): Source {
  const found = (path: string): Uint8Array | undefined => files.get(checkedPath(path));
  return {
    name: "memory",
    size: (path) => Promise.resolve(found(path)?.length),
    list: () => Promise.resolve([...files.keys()]),
    close: () => Promise.resolve(),
    read: async (path, offset, length) => {
      const bytes = found(path)?.subarray(offset, offset + length);
      return await Promise.resolve(expectLength(bytes ?? new Uint8Array(), length, path));
    },
  };
}

/** The whole of a small text file; `undefined` when it does not exist. */
export async function readText(
  source: Source,
  path: string,
  limit: number,
): Promise<string | undefined> {
  const size = await source.size(path);
  if (size === undefined) return undefined;
  if (size > limit) {
    throw new AssetError(
      `Cannot read ${path}: it must have at most ${limit} bytes: current value is ${size}`,
    );
  }
  return new TextDecoder().decode(await source.read(path, 0, size));
}

class DirectorySource implements Source {
  readonly name: string;
  readonly #handles = new Map<string, Promise<FileHandle>>();

  constructor(readonly directory: string | URL) {
    this.name = String(directory);
  }

  async size(path: string): Promise<number | undefined> {
    const { stat } = await import("node:fs/promises");
    try {
      const status = await stat(await this.#locate(path));
      return status.isFile() ? status.size : undefined;
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw unreadable(path, this.name, error);
    }
  }

  async read(path: string, offset: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    let done = 0;
    try {
      const handle = await this.#open(path);
      while (done < length) {
        const { bytesRead } = await handle.read(bytes, done, length - done, offset + done);
        if (bytesRead === 0) break;
        done += bytesRead;
      }
    } catch (error) {
      throw unreadable(path, this.name, error);
    }
    return expectLength(bytes.subarray(0, done), length, path);
  }

  async list(): Promise<readonly string[]> {
    const { readdir } = await import("node:fs/promises");
    try {
      return await readdir(this.directory);
    } catch (error) {
      throw unreadable(".", this.name, error);
    }
  }

  async close(): Promise<void> {
    const handles = [...this.#handles.values()];
    this.#handles.clear();
    for (const handle of await Promise.allSettled(handles)) {
      if (handle.status === "fulfilled") await handle.value.close();
    }
  }

  #open(path: string): Promise<FileHandle> {
    const known = this.#handles.get(path);
    if (known !== undefined) return known;
    const opening = this.#locate(path).then(async (file) =>
      (await import("node:fs/promises")).open(file, "r")
    );
    this.#handles.set(path, opening);
    return opening;
  }

  async #locate(path: string): Promise<string> {
    const { join } = await import("node:path");
    const { fileURLToPath } = await import("node:url");
    const root = this.directory instanceof URL ? fileURLToPath(this.directory) : this.directory;
    return join(root, checkedPath(path));
  }
}

class UrlSource implements Source {
  readonly name: string;
  readonly #sizes = new Map<string, number | undefined>();

  constructor(prefix: string | URL) {
    this.name = String(prefix).replace(/\/?$/, "/");
  }

  async size(path: string): Promise<number | undefined> {
    if (this.#sizes.has(path)) return this.#sizes.get(path);
    const response = await this.#fetch(path, { method: "HEAD" });
    const length = response.headers.get("content-length");
    const size = response.ok && length !== null ? Number(length) : undefined;
    if (response.ok && size === undefined) {
      throw new AssetError(`Cannot read ${this.name}${path}: the server must tell its size`);
    }
    if (!response.ok && response.status !== 404) throw refused(this.name + path, response);
    this.#sizes.set(path, size);
    return size;
  }

  async read(path: string, offset: number, length: number): Promise<Uint8Array> {
    if (length === 0) return new Uint8Array();
    const last = offset + length - 1;
    const response = await this.#fetch(path, { headers: { range: `bytes=${offset}-${last}` } });
    const range = response.headers.get("content-range") ?? "";
    if (response.status === 206 && range.startsWith(`bytes ${offset}-${last}/`)) {
      return expectLength(new Uint8Array(await response.arrayBuffer()), length, path);
    }
    const size = Number(response.headers.get("content-length"));
    if (response.status === 200 && offset === 0 && size === length) {
      return expectLength(new Uint8Array(await response.arrayBuffer()), length, path);
    }
    await response.body?.cancel();
    if (!response.ok) throw refused(this.name + path, response);
    throw new AssetError(
      `Cannot read ${this.name}${path}: the server must answer with bytes ${offset}-${last}: ` +
        `current value is status ${response.status}, content-range "${range}"`,
    );
  }

  list(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async #fetch(path: string, init: RequestInit): Promise<Response> {
    try {
      return await fetch(this.name + checkedPath(path), init);
    } catch (cause) {
      if (cause instanceof AssetError) throw cause;
      throw new AssetError(`Cannot read ${this.name}${path}: the server must answer`, { cause });
    }
  }
}

function checkedPath(path: string): string {
  const parts = path.split(/[/\\]/);
  if (path === "" || parts[0] === "" || parts.includes("..") || /^[a-z]+:/i.test(path)) {
    throw new AssetError(`Cannot read "${path}": its path must stay inside of the model directory`);
  }
  return path;
}

function expectLength(bytes: Uint8Array, length: number, path: string): Uint8Array {
  if (bytes.length === length) return bytes;
  throw new AssetError(
    `Cannot read ${path}: ${length} bytes must be there: current value is ${bytes.length}`,
  );
}

function isMissing(error: unknown): boolean {
  const code = (error as { code?: string }).code; // as Node and Deno set it
  return code === "ENOENT" || code === "ENOTDIR";
}

function unreadable(path: string, name: string, cause: unknown): AssetError {
  if (cause instanceof AssetError) return cause;
  const why = cause instanceof Error ? cause.message.split("\n")[0] : String(cause);
  return new AssetError(`Cannot read ${path} in ${name}: ${why}`, { cause });
}

function refused(url: string, response: Response): AssetError {
  return new AssetError(
    `Cannot read ${url}: the server must answer 200 or 206: current value is ${response.status}`,
  );
}
