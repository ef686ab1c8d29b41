/**
 * The autoencoder of a pipeline directory.
 */

import { z } from "npm:zod@4.6.7";
import type { ModelDirectory, ModelPart } from "../../assets/model_dir.ts";
import type { Weights } from "../../assets/weights.ts";
import { AssetError } from "../../errors.ts";
import { checkJson } from "../../assets/json.ts";
import { openTinyVae } from "./tiny.ts";
import { openVae, type Vae } from "./vae.ts";

/** An autoencoder with its weights, read when they are needed. */
export interface Autoencoder {
  readonly config: unknown;
  readonly vae: Vae;
  readonly weights: Weights;
}

/** The autoencoder of a model's directory, or why it cannot be used; neither where there is none. */
export interface Decodable {
  /** Turns its latents into pictures; absent where they are pictures already, or nothing decodes them. */
  readonly autoencoder?: Autoencoder;
  /** Why the directory's autoencoder cannot be used; latents can be generated without it. */
  readonly autoencoderError?: AssetError;
}

/** The kinds that are computed, by diffusers' names of their classes. */
const KINDS: Readonly<Record<string, (config: unknown, weights: Weights) => Vae>> = {
  AutoencoderKL: openVae,
  AutoencoderTiny: openTinyVae,
};
const kind = z.looseObject({
  _class_name: z.literal(Object.keys(KINDS)).default("AutoencoderKL"),
});

/** Opens a directory's autoencoder for latents of so many channels. */
export async function openAutoencoder(
  directory: ModelDirectory,
  channels: number,
): Promise<Decodable> {
  try {
    const part = await directory.openPart("vae");
    return part === undefined ? {} : { autoencoder: fitting(part, directory.name, channels) };
  } catch (error) {
    if (error instanceof AssetError) return { autoencoderError: error };
    throw error;
  }
}

/**
 * Describes an autoencoder of any kind.
 *
 * @param config Its `config.json`; without a class's name it is an `AutoencoderKL`.
 * @throws {AssetError} Naming another class and what is computed, or as the kind's own function.
 */
export function vaeOf(config: unknown, weights: Weights): Vae {
  const { _class_name: name } = checkJson(config, kind, "config.json of the VAE");
  return KINDS[name]!(config, weights);
}

function fitting(part: ModelPart, directory: string, channels: number): Autoencoder {
  const vae = vaeOf(part.config, part.weights);
  if (vae.latentChannels === channels) return { ...part, vae };
  throw new AssetError(
    `Cannot open ${directory}: its vae must have ${channels} latent channels, as the transformer has: ` +
      `current value is ${vae.latentChannels}`,
  );
}
