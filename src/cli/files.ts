/**
 * Files that a command reads and writes whole.
 */

import { Buffer } from "node:buffer";
import { createReadStream } from "node:fs";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import process from "node:process";
import { AssetError } from "../errors.ts";

/**
 * Writes a file in one move: readers see the old one or the whole new one, never a part.
 *
 * @throws {AssetError} When the directory cannot be written to.
 */
export async function writeWhole(path: string, parts: Iterable<Uint8Array>): Promise<void> {
  await writePartial({ path, parts }, (partial) => rename(partial, path));
}

/** Proves, before an hour of work, that files can be written where they are wanted. */
export async function expectWritable(...paths: readonly (string | undefined)[]): Promise<void> {
  for (const path of paths) if (path !== undefined) await writePartial({ path, parts: [] }, rm);
}

async function writePartial(
  { path, parts }: { readonly path: string; readonly parts: Iterable<Uint8Array> },
  finish: (partial: string) => Promise<void>,
): Promise<void> {
  const partial = `${path}.${process.pid}.tmp`;
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(partial, parts);
    await finish(partial);
  } catch (cause) {
    await rm(partial, { force: true }).catch(() => undefined); // the first error is the one to tell
    throw new AssetError(`Cannot write ${path}: it must be writable: ${reason(cause)}`, { cause });
  }
}

/** Reads a file whole. @throws {AssetError} When it cannot be read. */
export async function readWhole(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new AssetError(`Cannot read ${path}: it must be readable: ${reason(cause)}`, { cause });
  }
}

/**
 * Reads the text of a file of limited size; of a larger one no more is read than tells that it is larger.
 *
 * @throws {AssetError} When it cannot be read, is larger than `most` bytes, or is not UTF-8.
 */
export async function readText(path: string, most: number): Promise<string> {
  const bytes = await readStart(path, most + 1);
  if (bytes.length > most) {
    throw new AssetError(
      `Cannot read ${path}: its size must be at most ${most} bytes: current value is more`,
    );
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new AssetError(`Cannot read ${path}: it must be UTF-8 text`, { cause });
  }
}

/** The first `most` bytes of a file or pipe, or all when there are fewer. */
async function readStart(path: string, most: number): Promise<Uint8Array> {
  try {
    return Buffer.concat(await createReadStream(path, { end: most - 1 }).toArray());
  } catch (cause) {
    throw new AssetError(`Cannot read ${path}: it must be readable: ${reason(cause)}`, { cause });
  }
}

function reason(cause: unknown): string {
  return (cause instanceof Error ? cause.message : String(cause)).split("\n")[0] ?? "";
}
