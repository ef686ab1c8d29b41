/**
 * Models whose latents can become pictures.
 *
 * @module
 */

import { canDraw } from "../engine/decoding.ts";
import type { Model } from "../model/model.ts";

/** Refuses, before the work, to draw latents that nothing turns into pixels. @throws {RangeError} */
export function expectPixels(model: Model, path: string): void {
  if (canDraw(model)) return;
  throw new RangeError(
    `Cannot write ${path}: latents must have 1 or 3 channels, or the model an autoencoder: its pipeline's ` +
      `directory, with vae/ (generate --latents FILE saves them as they are): ` +
      `current value is ${model.latent[0]}`,
  );
}
