/**
 * A DiT opened from its directory.
 *
 * @module
 */

import { fingerprint } from "../assets/fingerprint.ts";
import type { SamplerDefaults } from "../assets/manifest.ts";
import type { ModelDirectory } from "../assets/model_dir.ts";
import type { Weights } from "../assets/weights.ts";
import { dit } from "./dit.ts";
import {
  checkDitTensors,
  type DitConfig,
  ditTensors,
  inferDitConfig,
  parseDitConfig,
} from "./dit_config.ts";
import { positionEmbedding } from "./dit_embeddings.ts";
import type { Model } from "./model.ts";
import { originOf } from "./model_origin.ts";

/** *Source:* DiT `sample.py` with DDIM; the paper's guided samples use scale 4. */
const ORIGINAL_SAMPLER: SamplerDefaults = { name: "ddim", steps: 50, guidance: 4 };

/**
 * Makes a model of a DiT's directory.
 *
 * @throws {AssetError} When its tensors do not fit its configuration.
 */
export function openDit(directory: ModelDirectory): Model {
  const { manifest, weights } = directory;
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
    origin: originOf("dit", config, directory),
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
    ...weights,
    names: new Set([...weights.names, "pos_embed"]),
    dims: (name) => (name === "pos_embed" ? dims : weights.dims(name)),
    sample: (name, indices) => weights.sample(name, indices),
    read: async (name, signal) =>
      name === "pos_embed"
        ? { dims, data: positionEmbedding(config.hiddenSize, grid) }
        : await weights.read(name, signal),
  };
}
