/**
 * Files that a command reads and writes whole.
 *
 * @module
 */

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

function reason(cause: unknown): string {
  return (cause instanceof Error ? cause.message : String(cause)).split("\n")[0] ?? "";
}
