/**
 * A model opened from its directory: what it is, what it computes and how it is meant to be sampled.
 *
 * @module
 */

import type { SamplerDefaults } from "../sampler/config.ts";
import {
  type ModelDirectory,
  type ModelLocation,
  openModelDirectory,
  type OpenOptions,
} from "../assets/model_dir.ts";
import type { Weights } from "../assets/weights.ts";
import { AssetError } from "../errors.ts";
import type { Decodable } from "./autoencoder.ts";
import { openDit } from "./dit_model.ts";
import { isFlux } from "./flux_config.ts";
import { openFlux } from "./flux_model.ts";
import { expectSupported, expectSupportedTensors } from "./known_classes.ts";
import type { ModelOrigin } from "./model_origin.ts";
import type { Transformer } from "./module_graph.ts";
import type { Scene, SceneRequest } from "./scene.ts";

/** An opened model; its weights are read when they are needed. */
export interface Model extends Decodable {
  /** Short name: the manifest's, or the file's. */
  readonly id: string;
  /** What it computes. */
  readonly transformer: Transformer;
  /** Its weights, with computed buffers filled in. */
  readonly weights: Weights;
  /** Latent shape `[C, H, W]`; of a picture of the model's own size, where it can make others. */
  readonly latent: readonly [number, number, number];
  /** Rows and columns of tokens. */
  readonly tokenGrid: readonly [number, number];
  /** Number of classes; labels are 0 … classes − 1. 0 where conditions are given with each request. */
  readonly classes: number;
  /** The label that stands for "no label"; absent when the model has none and cannot be guided. */
  readonly nullLabel?: number;
  /** Name of each class, in label order; empty when unknown. */
  readonly classNames: readonly string[];
  /** The guidance scale is an input of the model, so that guiding needs no null half. */
  readonly embedsGuidance?: true;
  /** Pictures may have any token grid. */
  readonly resizes?: true;
  /** How it is sampled unless the caller wants it otherwise. */
  readonly sampler: SamplerDefaults;
  /**
   * What a run with these conditions is about.
   *
   * @throws {RangeError} When conditions do not fit the model or each other.
   */
  readonly scene: (request: SceneRequest) => Scene;
  /** What a packed copy must say of it; absent where there can be none. */
  readonly origin?: ModelOrigin;
  /** Identity that plans bind to: equal for the same weights however they are packed. */
  fingerprint(): Promise<string>;
  /** Closes its files. */
  close(): Promise<void>;
}

/** What the caller chooses of a model. */
export interface ModelChoice extends OpenOptions {
  /** The original's sampler, whatever the directory's scheduler says; absent = the directory's. */
  readonly sampler?: "original" | undefined;
}

/**
 * Opens a model from a directory, a URL prefix, a hub, a .safetensors or .pt file, or files in memory. Only
 * headers are read.
 *
 * @throws {AssetError} When it is not a model we know, or its tensors do not fit its configuration.
 */
export async function openModel(
  location: ModelLocation,
  choice: ModelChoice = {},
): Promise<Model> {
  const directory = await openModelDirectory(location, {
    ...choice,
    checkDescription: expectSupported,
  });
  try {
    expectSupportedTensors(directory.weights.names, directory.name);
    return await openArchitecture(directory, choice);
  } catch (error) {
    await directory.close();
    throw error;
  }
}

async function openArchitecture(directory: ModelDirectory, choice: ModelChoice): Promise<Model> {
  const { manifest, weights } = directory;
  const found = isFlux(manifest?.config ?? directory.config, weights.names) ? "flux" : "dit";
  const architecture = manifest?.architecture ?? found;
  if (architecture === "dit") return await openDit(directory, choice);
  if (architecture === "flux") return await openFlux(directory, choice);
  throw new AssetError(
    `Cannot open ${directory.name}: architecture must be dit or flux: current value is ${architecture}`,
  );
}
