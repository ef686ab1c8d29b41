/**
 * Results in a folder that all servers and workers see, such as a volume.
 */

import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { type LastingResults, plainName } from "./result_store.ts";

/** Begins the names of files that are still written. */
const UNFINISHED = ".unfinished-";

/** Ends the names of all others. */
const RESULT = ".result";

/** A file for each key. */
export class FolderResults implements LastingResults {
  private constructor(readonly folder: URL) {}

  /** Uses a folder, and makes it where it is not there. */
  static async open(url: URL): Promise<FolderResults> {
    const folder = new URL(url.href.replace(/\/*$/, "/"));
    await mkdir(folder, { recursive: true });
    return new FolderResults(folder);
  }

  async keep(key: string, bytes: Uint8Array): Promise<void> {
    const unfinished = new URL(`${UNFINISHED}${crypto.randomUUID()}`, this.folder);
    try {
      await writeFile(unfinished, bytes);
      await rename(unfinished, this.#file(key)); // at once: whoever reads it finds all of it
    } catch (error) {
      await rm(unfinished, { force: true });
      throw error;
    }
  }

  async kept(key: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    try {
      return new Uint8Array(await readFile(this.#file(key)));
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  async drop(keys: readonly string[]): Promise<void> {
    await Promise.all(keys.map((key) => rm(this.#file(key), { force: true })));
  }

  async sweep(milliseconds: number): Promise<void> {
    const oldest = Date.now() - milliseconds;
    for (const name of await readdir(this.folder)) {
      const file = new URL(encodeURIComponent(name), this.folder);
      const found = await stat(file).catch(() => undefined); // another process swept it
      if (found?.isFile() && found.mtimeMs < oldest && isOurs(name)) {
        await rm(file, { force: true });
      }
    }
  }

  #file(key: string): URL {
    return new URL(`${plainName(key)}${RESULT}`, this.folder); // nothing of a key leads out of the folder
  }
}

function isOurs(name: string): boolean {
  return name.startsWith(UNFINISHED) || name.endsWith(RESULT);
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
