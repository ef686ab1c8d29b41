/**
 * A blob being downloaded, in a file whose name no other process uses.
 */

import type { FileHandle } from "node:fs/promises";
import { type PartialBlob, TakenError } from "./blob_store.ts";
import { unwritable } from "./disk_errors.ts";
import { ageOf, heartbeat, STALE_MS } from "./disk_lock.ts";
import { BLOCK_BYTES } from "../source.ts";

/** What a partial file is of. */
export interface PartialOptions {
  readonly store: string;
  readonly key: string;
  /** Bytes that it will have: a longer leftover is not used. */
  readonly size: number;
  /** Gives the lock back. */
  readonly unlock: () => Promise<void>;
}

/** Takes over the longest file that somebody left, or begins one. */
export async function openPartial(options: PartialOptions): Promise<PartialBlob> {
  const { open } = await import("node:fs/promises");
  const path = `${prefixOf(options)}.${crypto.randomUUID()}.part`;
  const adopted = await adopt(path, options);
  const handle = await open(path, adopted === undefined ? "wx+" : "r+");
  return new DiskPartial(options, { path, handle, length: adopted ?? 0 });
}

function prefixOf({ store, key }: PartialOptions): string {
  return `${store}/partial/${key}`;
}

/** Renames a leftover to `path`, which one process can do only. Returns its length. */
async function adopt(path: string, options: PartialOptions): Promise<number | undefined> {
  const { readdir, rename, rm, stat } = await import("node:fs/promises");
  const folder = `${options.store}/partial`;
  const left: { readonly file: string; readonly size: number }[] = [];
  for (const name of await readdir(folder)) {
    if (!name.startsWith(`${options.key}.`) || !name.endsWith(".part")) continue;
    const file = `${folder}/${name}`;
    const released = name === `${options.key}.part`;
    if (!released && await ageOf(file) <= STALE_MS) continue; // somebody writes it
    const size = (await stat(file).catch(() => undefined))?.size ?? 0; // gone, at worst
    left.push({ file, size });
  }
  left.sort((a, b) => b.size - a.size);
  const best = left.find(({ size }) => size > 0 && size <= options.size);
  for (const { file } of left) {
    if (file !== best?.file) await rm(file, { force: true });
  }
  if (best === undefined) return undefined;
  return await rename(best.file, path).then(() => best.size, () => undefined);
}

interface OpenedPartial {
  readonly path: string;
  readonly handle: FileHandle;
  readonly length: number;
}

class DiskPartial implements PartialBlob {
  readonly #block = new Uint8Array(BLOCK_BYTES);
  readonly #stop: () => Promise<void>;
  #filled = 0;
  #written: number;

  constructor(readonly options: PartialOptions, readonly file: OpenedPartial) {
    this.#written = file.length;
    this.#stop = heartbeat(file.path);
  }

  get length(): number {
    return this.#written + this.#filled;
  }

  async *content(signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    await this.#flush();
    const block = new Uint8Array(BLOCK_BYTES);
    for (let at = 0; at < this.#written;) {
      signal?.throwIfAborted();
      const { bytesRead } = await this.file.handle.read(block, 0, block.length, at);
      if (bytesRead === 0) throw new TakenError(`Cannot read ${this.file.path}: it must be whole`);
      yield block.subarray(0, bytesRead);
      at += bytesRead;
    }
  }

  async append(bytes: Uint8Array): Promise<void> {
    for (let rest = bytes; rest.length > 0;) {
      const taken = rest.subarray(0, this.#block.length - this.#filled);
      this.#block.set(taken, this.#filled);
      this.#filled += taken.length;
      rest = rest.subarray(taken.length);
      if (this.#filled === this.#block.length) await this.#flush();
    }
  }

  async restart(): Promise<void> {
    [this.#filled, this.#written] = [0, 0];
    await this.file.handle.truncate(0).catch((cause) => unwritable(this.file.path, cause));
  }

  async commit(): Promise<void> {
    const { rename } = await import("node:fs/promises");
    await this.#flush();
    const { path, handle } = this.file;
    try {
      await handle.sync(); // before the name: a power cut leaves no blob with holes
      await this.#close();
      await rename(path, `${this.options.store}/blobs/${this.options.key}`);
    } catch (cause) {
      unwritable(path, cause);
    }
    await this.options.unlock();
  }

  async release(): Promise<void> {
    const { rename } = await import("node:fs/promises");
    await this.#flush().catch(() => undefined); // what was downloaded is kept as far as there is room
    await this.#close();
    await rename(this.file.path, `${prefixOf(this.options)}.part`).catch(() => undefined); // taken
    await this.options.unlock();
  }

  async discard(): Promise<void> {
    const { rm } = await import("node:fs/promises");
    await this.#close();
    await rm(this.file.path, { force: true });
    await this.options.unlock();
  }

  async #close(): Promise<void> {
    await this.#stop();
    await this.file.handle.close().catch(() => undefined); // closed by a commit that failed
  }

  async #flush(): Promise<void> {
    if (this.#filled === 0) return;
    await this.#expectOurs();
    const block = this.#block.subarray(0, this.#filled);
    try {
      for (let done = 0; done < block.length;) {
        const { handle } = this.file;
        const rest = block.length - done;
        done += (await handle.write(block, done, rest, this.#written + done)).bytesWritten;
      }
    } catch (cause) {
      unwritable(this.file.path, cause);
    }
    this.#written += block.length;
    this.#filled = 0;
  }

  /** Another renames it when we seem dead, and writes it from then on. */
  async #expectOurs(): Promise<void> {
    const { stat } = await import("node:fs/promises");
    const there = await stat(this.file.path).catch(() => undefined);
    if (there === undefined) {
      throw new TakenError(`Cannot write ${this.file.path}: it must be ours alone`);
    }
  }
}
