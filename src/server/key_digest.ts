/**
 * Keys as they are compared, counted and stored: their SHA-256 digests, from which nobody learns a key.
 */

import { sha256 } from "npm:@noble/hashes@2.4.0/sha2.js";
import { bytesToHex } from "npm:@noble/hashes@2.4.0/utils.js";

/** Digest of a text: 64 hexadecimal digits. */
export function digestOf(text: string): string {
  return bytesToHex(sha256(new TextEncoder().encode(text)));
}

/** Digest of a key; empty without one. */
export function askerOf(key: string): string {
  return key === "" ? "" : digestOf(key);
}
