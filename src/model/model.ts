/**
 * A model opened from its directory: what it is, what it computes and how it is meant to be sampled.
 *
 * @module
 */

import { fingerprint } from "../assets/fingerprint.ts";
import type { SamplerDefaults } from "../assets/manifest.ts";
import {
  type ModelDirectory,
  type ModelLocation,
  openModelDirectory,
} from "../assets/model_dir.ts";
import type { Weights } from "../assets/weights.ts";
import { AssetError } from "../errors.ts";
import { dit } from "./dit.ts";
import {
  checkDitTensors,
  type DitConfig,
  ditTensors,
  inferDitConfig,
  parseDitConfig,
} from "./dit_config.ts";
import { positionEmbedding } from "./dit_embeddings.ts";
import type { Transformer } from "./module_graph.ts";

/** An opened model; its weights are read when they are needed. */
export interface Model {
  /** Short name: the manifest's, or the file's. */
  readonly id: string;
  /** What it computes. */
  readonly transformer: Transformer;
  /** Its weights, with computed buffers filled in. */
  readonly weights: Weights;
  /** Latent shape `[C, H, W]`. */
  readonly latent: readonly [number, number, number];
  /** Rows and columns of tokens. */
  readonly tokenGrid: readonly [number, number];
  /** Number of classes; labels are 0 … classes − 1. */
  readonly classes: number;
  /** The label that stands for "no label"; absent when the model has none and cannot be guided. */
  readonly nullLabel?: number;
  /** Name of each class, in label order; empty when unknown. */
  readonly classNames: readonly string[];
  /** How it is sampled unless the caller wants it otherwise. */
  readonly sampler: SamplerDefaults;
  /** Identity that plans bind to: equal for the same weights however they are packed. */
  fingerprint(): Promise<string>;
  /** Closes its files. */
  close(): Promise<void>;
}

/** *Source:* DiT `sample.py` with DDIM; the paper's guided samples use scale 4. */
const ORIGINAL_SAMPLER: SamplerDefaults = { name: "ddim", steps: 50, guidance: 4 };

/**
 * Opens a model from a directory, a URL prefix, a safetensors file, or files in memory. Only headers are
 * read.
 *
 * @throws {AssetError} When it is not a model we know, or its tensors do not fit its configuration.
 */
export async function openModel(location: ModelLocation): Promise<Model> {
  const directory = await openModelDirectory(location);
  try {
    return openDit(directory);
  } catch (error) {
    await directory.close();
    throw error;
  }
}

function openDit(directory: ModelDirectory): Model {
  const { manifest, weights } = directory;
  const architecture = manifest?.architecture ?? "dit";
  if (architecture !== "dit") {
    throw new AssetError(
      `Cannot open ${directory.name}: architecture must be dit: current value is ${architecture}`,
    );
  }
  const json = manifest?.config ?? directory.config;
  const config = json === undefined ? inferDitConfig(weights) : parseDitConfig(json);
  checkDitTensors(config, weights);
  const { inChannels, inputSize, patchSize, numClasses } = config;
  return {
    id: directory.id,
    transformer: dit(config),
    weights: withPositions(weights, config),
    latent: [inChannels, inputSize, inputSize],
    tokenGrid: [inputSize / patchSize, inputSize / patchSize],
    classes: numClasses,
    ...(config.classDropoutProb > 0 && { nullLabel: numClasses }),
    classNames: manifest?.classNames ?? [],
    sampler: manifest?.sampler ?? ORIGINAL_SAMPLER,
    fingerprint: () => identity(directory, config),
    close: () => directory.close(),
  };
}

async function identity({ manifest, weights }: ModelDirectory, config: DitConfig): Promise<string> {
  return manifest?.fingerprint ??
    await fingerprint(weights, { architecture: "dit", config, names: ditTensors(config).keys() });
}

/** State dicts may lack `pos_embed`, which is computed, not trained. */
function withPositions(weights: Weights, config: DitConfig): Weights {
  if (weights.names.has("pos_embed")) return weights;
  const grid = config.inputSize / config.patchSize;
  const dims = [1, grid ** 2, config.hiddenSize];
  return {
    names: new Set([...weights.names, "pos_embed"]),
    dims: (name) => (name === "pos_embed" ? dims : weights.dims(name)),
    sample: (name, indices) => weights.sample(name, indices),
    read: async (name, signal) =>
      name === "pos_embed"
        ? { dims, data: positionEmbedding(config.hiddenSize, grid) }
        : await weights.read(name, signal),
  };
}
