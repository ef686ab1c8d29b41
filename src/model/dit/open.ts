/**
 * Opens a DiT from its directory.
 */

import type { ModelDirectory } from "../../assets/model_dir.ts";
import type { Weights } from "../../assets/weights.ts";
import { AssetError } from "../../errors.ts";
import type { SamplerDefaults } from "../../sampler/config.ts";
import { checkDitTensors, dit } from "./dit.ts";
import { type DitConfig, inferDitConfig, parseDitConfig } from "./config.ts";
import { CLASS_NAMES, fromDiffusersDit, isDiffusersDit, underOriginalNames } from "./diffusers.ts";
import { positionEmbedding } from "./embeddings.ts";
import type { Family, Model, ModelChoice } from "../model.ts";
import { type ModelShape, openedModel } from "../opened_model.ts";
import { labelScene } from "../scene.ts";

/** *Source:* DiT `sample.py` with DDIM; the paper's guided samples use scale 4. */
const ORIGINAL_SAMPLER: SamplerDefaults = { name: "ddim", steps: 50, guidance: 4 };

/** *Source:* odelt `helper_inference.py`: 64 steps of Euler's method, all channels guided by 1.5. */
function groupedSampler({ inChannels }: DitConfig): SamplerDefaults {
  return { name: "flow-euler", steps: 64, guidance: 1.5, guidanceChannels: inChannels };
}

/** DiT, under the original's names or diffusers'. *Source:* arXiv 2212.09748. */
export const DIT: Family = {
  architecture: "dit",
  title: "DiT",
  classes: [...CLASS_NAMES, "DiTPipeline"],
  conditions: [],
  claims: (config, names) =>
    isDiffusersDit(config) || names.has("x_embedder.proj.weight") || names.has(ANY_BLOCK),
  open: openDit,
};

/** The original's configuration names no class. */
const ANY_BLOCK = "blocks.0.attn.qkv.weight";

async function openDit(directory: ModelDirectory, choice: ModelChoice): Promise<Model> {
  const { json, weights } = await official(directory);
  const config = parseDitConfig(json);
  const names = checkDitTensors(config, weights);
  return await openedModel(directory, choice, {
    shape: { ...ditModel(config), classNames: classNames(directory, config) },
    config,
    json,
    stored: { weights, names },
    weights: withPositions(weights, config),
    sampled: config.depthGroup !== undefined
      ? { predicts: "velocity", original: groupedSampler(config) }
      : {
        predicts: "noise",
        original: ORIGINAL_SAMPLER,
        pipeline: { guidanceChannels: config.inChannels }, // diffusers' `DiTPipeline`; the original guides three
      },
  });
}

/** A DiT of this configuration, without weights. */
export function ditModel(config: DitConfig): ModelShape {
  const { inChannels, inputSize, patchSize, numClasses } = config;
  const labelled = {
    transformer: dit(config),
    latent: [inChannels, inputSize, inputSize],
    tokenGrid: [inputSize / patchSize, inputSize / patchSize],
  };
  const nullLabel = config.classDropoutProb > 0 ? numClasses : undefined;
  const scene = labelScene({ ...labelled, nullLabel });
  return { ...labelled, classes: numClasses, classNames: [], scene };
}

/** A configuration in the original's keys, and the weights that it describes under the original's names. */
async function official(
  { manifest, weights, ...given }: ModelDirectory,
): Promise<{ readonly json: unknown; readonly weights: Weights }> {
  const json = manifest?.config ?? given.config ?? inferDitConfig(weights);
  if (!isDiffusersDit(json)) return { json, weights };
  const own = fromDiffusersDit(json);
  return { json: own, weights: await underOriginalNames(weights, parseDitConfig(own)) };
}

/** A name for every class, or none at all. */
function classNames({ name, classNames }: ModelDirectory, config: DitConfig): readonly string[] {
  if (classNames.length === 0 || classNames.length === config.numClasses) return classNames;
  throw new AssetError(
    `Cannot open ${name}: it must name ${config.numClasses} classes: current value is ${classNames.length}`,
  );
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
