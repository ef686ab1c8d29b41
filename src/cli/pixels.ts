/**
 * Latents that are pictures as they are.
 *
 * @module
 */

import type { Model } from "../model/model.ts";

/** Refuses, before the work, to draw latents that are not pixels. @throws {RangeError} */
export function expectPixels({ latent: [channels] }: Model, path: string): void {
  if (channels === 1 || channels === 3) return;
  throw new RangeError(
    `Cannot write ${path}: latents must have 1 or 3 channels, others need a VAE decoder ` +
      `(generate --latents FILE saves them as they are): current value is ${channels}`,
  );
}
