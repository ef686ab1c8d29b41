/**
 * What an edit comes down to: how many steps run, and which picture it was.
 */

import { sha256 } from "npm:@noble/hashes@2.4.0/sha2.js";
import { bytesToHex } from "npm:@noble/hashes@2.4.0/utils.js";
import { type Picture, toRgba } from "../image/picture.ts";
import { toGrey } from "../image/planes.ts";

/** What a record says of an edit. */
export interface EditRecord {
  /** Digest of the pixels of the image, see {@link pictureDigest}. */
  readonly image: string;
  /** Digest of the mask, see {@link maskDigest}; absent without one. */
  readonly mask?: string | undefined;
  /** Share of the steps that ran. */
  readonly strength: number;
}

/** *Source:* diffusers `FluxImg2ImgPipeline`, `strength`. */
export const DEFAULT_STRENGTH = 0.6;

/**
 * How many of the first steps a strength leaves out; one at least is left to run.
 *
 * *Source:* diffusers `FluxImg2ImgPipeline.get_timesteps()`.
 */
export function stepsLeftOut(steps: number, strength: number): number {
  const left = Math.trunc(Math.max(steps - Math.min(steps * strength, steps), 0));
  return Math.min(left, steps - 1);
}

/**
 * `sha256:` and 64 hex digits over the size and the pixels of a picture, from whatever file they were read, and
 * whatever channels say the same.
 */
export function pictureDigest(picture: Picture): string {
  const { width, height, data } = toRgba(picture);
  const hash = sha256.create();
  hash.update(new TextEncoder().encode(`${width} × ${height} `));
  hash.update(new Uint8Array(data.buffer));
  return `sha256:${bytesToHex(hash.digest())}`;
}

/** The same of a mask, whatever picture says it: only how light it is on white counts. */
export function maskDigest(mask: Picture): string {
  return pictureDigest(toGrey(mask));
}
