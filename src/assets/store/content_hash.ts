/**
 * What a file's bytes must hash to: sha256 for large files, git's blob hash for the others.
 *
 * *Source:* git's object format: sha1 over `blob <size>\0` and the content.
 */

import { sha1 } from "npm:@noble/hashes@2.4.0/legacy.js";
import { sha256 } from "npm:@noble/hashes@2.4.0/sha2.js";
import { bytesToHex } from "npm:@noble/hashes@2.4.0/utils.js";

/** The identity of some bytes. */
export interface ContentHash {
  /** `sha256` of the bytes, or `git`: the sha1 of a git blob. */
  readonly kind: "sha256" | "git";
  readonly hex: string;
}

export interface RunningHash {
  /** Takes the next bytes. */
  update(bytes: Uint8Array): void;
  /** Lower-case hex of all of them; it takes no more after that. */
  hex(): string;
}

/** Name of the bytes in a cache: `sha256-…` or `git-…`. */
export function blobKey({ kind, hex }: ContentHash): string {
  return `${kind}-${hex}`;
}

/** Begins a hash; by the runtime's own code where it has some, which is ten times as fast. */
export async function startHash(kind: ContentHash["kind"], size: number): Promise<RunningHash> {
  const hash = await startPlain(kind === "git" ? "sha1" : "sha256");
  if (kind === "git") hash.update(new TextEncoder().encode(`blob ${size}\0`));
  return hash;
}

async function startPlain(name: "sha1" | "sha256"): Promise<RunningHash> {
  try {
    const { createHash } = await import("node:crypto");
    const hash = createHash(name);
    return { update: (bytes) => void hash.update(bytes), hex: () => hash.digest("hex") };
  } catch {
    const hash = name === "sha1" ? sha1.create() : sha256.create(); // a browser
    return { update: (bytes) => void hash.update(bytes), hex: () => bytesToHex(hash.digest()) };
  }
}
