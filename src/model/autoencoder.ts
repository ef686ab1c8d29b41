/**
 * The autoencoder that a pipeline directory brings along.
 *
 * @module
 */

import type { ModelDirectory } from "../assets/model_dir.ts";
import type { Weights } from "../assets/weights.ts";
import { AssetError } from "../errors.ts";
import { openVae, type Vae } from "./vae.ts";

/** An autoencoder with its weights, read when they are needed. */
export interface Autoencoder {
  /** Its configuration as published. */
  readonly config: unknown;
  /** What it computes. */
  readonly vae: Vae;
  /** Its weights. */
  readonly weights: Weights;
}

/**
 * Opens a directory's autoencoder for latents of so many channels; `undefined` where there is none.
 *
 * @throws {AssetError} When it cannot be opened, or is made for other latents.
 */
export async function openAutoencoder(
  { name, openPart }: ModelDirectory,
  channels: number,
): Promise<Autoencoder | undefined> {
  const part = await openPart("vae");
  if (part === undefined) return undefined;
  const vae = openVae(part.config, part.weights);
  if (vae.latentChannels === channels) return { ...part, vae };
  throw new AssetError(
    `Cannot open ${name}: its vae must have ${channels} latent channels, as the transformer has: ` +
      `current value is ${vae.latentChannels}`,
  );
}
