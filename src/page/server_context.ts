/**
 * What runs on a server have in common.
 *
 * @module
 */

import type { Api } from "./api.ts";
import type { Pixels } from "./pixels.ts";

/** What a run on a server needs of its surroundings. */
export interface ServerContext {
  /** The server. */
  readonly api: Api;
  /** What runs there, in words. */
  readonly backend: string;
  /** Decodes a picture file. */
  readonly decode: (file: Blob) => Promise<Pixels>;
}

/** A picture file from base64. */
export function pngOf(base64: string): Blob {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  return new Blob([bytes], { type: "image/png" });
}
