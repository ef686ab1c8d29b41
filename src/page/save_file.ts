/**
 * Files that a visitor takes along.
 */

import { make } from "./dom.ts";

/** Milliseconds after which a browser has certainly begun to read a file. */
const READ_MS = 60_000;

/** Downloads a file under a name. */
export function saveFile(file: Blob, name: string): void {
  const url = URL.createObjectURL(file);
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), READ_MS);
}
