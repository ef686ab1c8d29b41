/**
 * Files that a command reads and writes whole.
 *
 * @module
 */

import { mkdir, open, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import process from "node:process";
import { AssetError } from "../errors.ts";

/**
 * Writes a file in one move: readers see the old one or the whole new one, never a part.
 *
 * @throws {AssetError} When the directory cannot be written to.
 */
export async function writeWhole(path: string, parts: Iterable<Uint8Array>): Promise<void> {
  const partial = `${path}.${process.pid}.tmp`;
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(partial, parts);
    await rename(partial, path);
  } catch (cause) {
    await rm(partial, { force: true }).catch(() => undefined); // the first error is the one to tell
    throw new AssetError(`Cannot write ${path}: it must be writable: ${reason(cause)}`, { cause });
  }
}

/** Proves, before an hour of work, that a file can be written where it is wanted. */
export async function expectWritable(path: string): Promise<void> {
  const probe = `${path}.${process.pid}.probe.tmp`;
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(probe, "");
    await rm(probe);
  } catch (cause) {
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
  const bytes = new Uint8Array(most);
  let length = 0;
  try {
    const file = await open(path);
    try {
      for (let read = -1; read !== 0 && length < most; length += read) {
        read = (await file.read(bytes, length, most - length)).bytesRead;
      }
    } finally {
      await file.close();
    }
  } catch (cause) {
    throw new AssetError(`Cannot read ${path}: it must be readable: ${reason(cause)}`, { cause });
  }
  return bytes.subarray(0, length);
}

function reason(cause: unknown): string {
  return (cause instanceof Error ? cause.message : String(cause)).split("\n")[0] ?? "";
}
