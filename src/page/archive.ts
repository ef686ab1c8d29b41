/**
 * Many pictures in one ZIP. PNGs are compressed already, so they are stored as they are.
 */

import { zipSync } from "npm:fflate@0.8.3";

/** A file of the archive. */
export interface ArchivedFile {
  readonly name: string;
  readonly file: Blob;
  /** When it was made, in Unix milliseconds. */
  readonly made: number;
}

/** First and last year that a ZIP can tell. */
const FIRST_MADE = Date.UTC(1980, 0, 2);
const LAST_MADE = Date.UTC(2099, 11, 30);

/** Packs files; of equal names the later ones are numbered. */
export async function archiveOf(files: readonly ArchivedFile[]): Promise<Blob> {
  const taken = new Map<string, number>();
  const packed = await Promise.all(files.map(async ({ name, file, made }) => {
    const count = (taken.get(name) ?? 0) + 1;
    taken.set(name, count);
    const own = count === 1 ? name : name.replace(/(\.\w+)?$/, (type) => `-${count}${type}`);
    const bytes = new Uint8Array(await file.arrayBuffer());
    const mtime = Math.min(Math.max(made, FIRST_MADE), LAST_MADE);
    return [own, [bytes, { level: 0, mtime }]] as const;
  }));
  const zip = new Uint8Array(zipSync(Object.fromEntries(packed) as never)); // its tuples are not readonly
  return new Blob([zip], { type: "application/zip" });
}
