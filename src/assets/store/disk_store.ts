/**
 * A blob store in a folder that processes share.
 *
 * Right bytes rest on two things only: every writer has a partial file of its own name, and a blob gets
 * its key by a rename after its hash was right. The lock saves traffic and decides nothing: when it is
 * wrong (its owner seemed dead and was not), a file is downloaded twice.
 */

import type { BeginOptions, BlobStore, PartialBlob } from "./blob_store.ts";
import { lockFile } from "./disk_lock.ts";
import { openPartial } from "./disk_partial.ts";
import { unwritable } from "./disk_errors.ts";
import { fail, isMissing } from "../read_errors.ts";
import { type ByteRange, openDirectory, type Source } from "../source.ts";

/** Milliseconds between two looks at another's download. */
const POLL_MS = 500;

/** Opens a store in a folder, which is made by the first write. */
export function openDiskStore(folder: string): BlobStore {
  return new DiskStore(folder);
}

class DiskStore implements BlobStore {
  readonly #blobs: Source;

  constructor(readonly name: string) {
    this.#blobs = openDirectory(`${name}/blobs`);
  }

  async size(key: string): Promise<number | undefined> {
    const { stat } = await import("node:fs/promises");
    try {
      const status = await stat(`${this.name}/blobs/${key}`);
      return status.isFile() ? status.size : undefined;
    } catch (cause) {
      return isMissing(cause) ? undefined : await this.#blobs.size(key); // which says what is wrong
    }
  }

  async read(key: string, range: ByteRange): Promise<Uint8Array> {
    return await this.#blobs.read(key, range);
  }

  async begin(key: string, options: BeginOptions): Promise<PartialBlob | undefined> {
    const { size, clock, onWait, signal } = options;
    const { mkdir } = await import("node:fs/promises");
    const folder = `${this.name}/partial`;
    await mkdir(folder, { recursive: true }).catch((cause) => unwritable(folder, cause));
    for (let waits = 0;; waits++) {
      signal?.throwIfAborted();
      if (await this.size(key) === size) return undefined;
      const unlock = await lockFile(`${folder}/${key}.lock`);
      if (unlock !== undefined) return await this.#own(key, size, unlock);
      if (waits === 0) onWait?.();
      await clock.sleep(POLL_MS, signal);
    }
  }

  async readText(path: string): Promise<string | undefined> {
    const { readFile } = await import("node:fs/promises");
    try {
      return await readFile(`${this.name}/${path}`, "utf8");
    } catch (cause) {
      if (isMissing(cause)) return undefined;
      fail(`${path} in ${this.name}`, "its file permissions must allow reading it", cause);
    }
  }

  async writeText(path: string, text: string): Promise<void> {
    const { mkdir, rename, rm, writeFile } = await import("node:fs/promises");
    const whole = `${this.name}/${path}`;
    const partial = `${whole}.${crypto.randomUUID()}.tmp`;
    try {
      await mkdir(whole.slice(0, whole.lastIndexOf("/")), { recursive: true });
      await writeFile(partial, text);
      await rename(partial, whole);
    } catch (cause) {
      await rm(partial, { force: true }).catch(() => undefined); // the first error is the one to tell
      unwritable(whole, cause);
    }
  }

  async close(): Promise<void> {
    await this.#blobs.close();
  }

  /** Under the lock: nothing if another process has finished it, else a partial file of our own. */
  async #own(
    key: string,
    size: number,
    unlock: () => Promise<void>,
  ): Promise<PartialBlob | undefined> {
    try {
      const { mkdir } = await import("node:fs/promises");
      await mkdir(`${this.name}/blobs`, { recursive: true });
      if (await this.size(key) !== size) {
        return await openPartial({ store: this.name, key, size, unlock });
      }
    } catch (cause) {
      await unlock();
      unwritable(`${this.name}/partial`, cause);
    }
    await unlock();
    return undefined;
  }
}
