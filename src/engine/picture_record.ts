/**
 * How a picture was made, as its PNG says: enough to make it again.
 *
 * @module
 */

import type { WeightPrecision } from "./precision/rounded_layers.ts";

/** Keyword of the PNG text chunk that holds the record. */
export const TEXT_KEYWORD = "invardiff";

/** Parameters of a picture, or of a grid of pictures with seeds one after another. */
export interface PictureRecord {
  /** Name of the model. */
  readonly model: string;
  /** Identity of the model. */
  readonly fingerprint: string;
  /** Label of each picture. */
  readonly labels: readonly number[];
  /** Seed of the first picture; absent when noise was given. */
  readonly seed?: number | undefined;
  /** Sampling steps. */
  readonly steps: number;
  /** Guidance scale. */
  readonly guidance: number;
  /** `original` where the directory's own sampler was not used. */
  readonly sampler?: "original" | undefined;
  /** Precision of the weights; absent is `f32`. */
  readonly weights?: WeightPrecision | undefined;
  /** The plan, if there was one. */
  readonly plan?: { readonly name: string; readonly digest: string } | undefined;
}

/** The text chunk of a PNG that says how it was made. */
export function recordText(record: PictureRecord): Readonly<Record<string, string>> {
  return { [TEXT_KEYWORD]: JSON.stringify(record) };
}
