/**
 * Models whose latents can become pictures.
 */

import { decodingError } from "../engine/decode/decoding.ts";
import type { Model } from "../model/model.ts";

/** Refuses, before the work, to draw latents that nothing turns into pixels. @throws {RangeError} */
export function expectPixels(model: Model, path: string): void {
  const cause = decodingError(model);
  if (cause === undefined) return;
  throw new RangeError(
    `Cannot write ${path}: ${cause.message} (generate --latents FILE saves latents as they are)`,
    { cause },
  );
}
