/**
 * What opened models of every family have in common: identity, origin, sampler, autoencoder.
 */

import { fingerprint } from "../assets/fingerprint.ts";
import { withoutNotes } from "../assets/json.ts";
import type { Manifest } from "../assets/manifest.ts";
import type { ModelDirectory } from "../assets/model_dir.ts";
import type { Weights } from "../assets/weights.ts";
import type { Model, ModelChoice, ModelOrigin } from "./model.ts";
import { type Sampled, samplerOf } from "./model_sampler.ts";
import { findText, type TextRecipe } from "./text.ts";
import { openAutoencoder } from "./vae/autoencoder.ts";

/** The parts of a model that its configuration determines. */
export type ModelShape = Omit<
  Model,
  | "id"
  | "weights"
  | "sampler"
  | "autoencoder"
  | "text"
  | "prompts"
  | "directory"
  | "origin"
  | "fingerprint"
  | "close"
>;

/** What a family finds in a directory. */
export interface Found {
  /** What the configuration determines. */
  readonly shape: ModelShape;
  /** The same with pictures of this many latent pixels a side for its own, where the model makes any size. */
  readonly shapeAt?: (side: number) => ModelShape | undefined;
  /** The configuration as parsed, which is part of the model's identity. */
  readonly config: object;
  /** The configuration as JSON, from which it is parsed again. */
  readonly json: unknown;
  /** Tensors under the names that the model's identity is computed from, and these names. */
  readonly stored: { readonly weights: Weights; readonly names: Iterable<string> };
  /** Tensors as modules take them. */
  readonly weights: Weights;
  readonly sampled: Sampled;
  /** How its family takes prompts; absent = not at all. */
  readonly text?: TextRecipe;
}

/**
 * Builds a model from what was found.
 *
 * @throws {AssetError} When its scheduler or its autoencoder is none that we compute.
 */
export async function openedModel(
  directory: ModelDirectory,
  choice: ModelChoice,
  { shape, shapeAt, config, json, stored, weights, sampled, text: recipe }: Found,
): Promise<Model> {
  const { id, manifest } = directory;
  const { transformer: { architecture }, latent: [channels = 0] } = shape;
  const identity = { architecture, config, names: [...stored.names] };
  const text = recipe && await findText(directory, recipe);
  let known = manifest?.fingerprint; // told once: it is made of samples of every tensor
  const decodable = await openAutoencoder(directory, channels);
  const { sampleSize, scale = 1 } = decodable.autoencoder?.vae ?? {};
  return {
    ...(sampleSize && shapeAt?.(sampleSize / scale)) || shape,
    id,
    weights,
    sampler: await samplerOf(directory, choice.sampler, sampled),
    ...decodable,
    directory,
    ...(text !== undefined && { text }),
    ...(manifest?.prompts !== undefined && { prompts: manifest.prompts }),
    origin: originOf(architecture, withoutNotes(json), manifest),
    fingerprint: async () => known ??= await fingerprint(stored.weights, identity),
    close: () => directory.close(),
  };
}

const UNKNOWN = "as its source, which has no model.json to say it";

/** The origin of a model with this `config.json`. */
export function originOf(
  architecture: string,
  config: unknown,
  manifest?: Manifest,
): ModelOrigin {
  const { licence = UNKNOWN, dataNotice = UNKNOWN } = manifest ?? {};
  return { architecture, config, licence, dataNotice };
}
