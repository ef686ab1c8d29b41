/**
 * Opens a FLUX transformer from its directory.
 */

import { textAt } from "../../assets/json.ts";
import type { ModelDirectory } from "../../assets/model_dir.ts";
import type { Weights } from "../../assets/weights.ts";
import type { SamplerDefaults } from "../../sampler/config.ts";
import { CLASS_NAME, type FluxConfig, inferFluxConfig, parseFluxConfig } from "./config.ts";
import { underDiffusersNames } from "./original.ts";
import { CONDITIONS, DEFAULT_GRID, fluxScene, type Grid } from "./scene.ts";
import { fluxText } from "./text.ts";
import { projectionShares } from "./single.ts";
import { checkFluxTensors, isInShares } from "./tensors.ts";
import type { Family, Model, ModelChoice } from "../model.ts";
import { type ModelShape, openedModel } from "../opened_model.ts";
import { type TensorPart, viewWeights } from "../tensor_views.ts";

/** FLUX.1, under diffusers' names, the original's or those of a packed copy. */
export const FLUX: Family = {
  architecture: "flux",
  title: "FLUX.1",
  classes: [CLASS_NAME, "FluxPipeline"],
  conditions: CONDITIONS,
  claims: (config, names) =>
    textAt(config, "_class_name") === CLASS_NAME ||
    names.has("single_transformer_blocks.0.norm.linear.weight") ||
    names.has("double_blocks.0.img_mod.lin.weight"),
  open: openFlux,
};

async function openFlux(directory: ModelDirectory, choice: ModelChoice): Promise<Model> {
  const weights = underDiffusersNames(directory.weights);
  const json = directory.manifest?.config ?? directory.config ?? inferFluxConfig(weights);
  const config = parseFluxConfig(json);
  const names = checkFluxTensors(config, weights);
  return await openedModel(directory, choice, {
    shape: fluxModel(config),
    shapeAt: (side) => side % 2 === 0 ? fluxModel(config, [side / 2, side / 2]) : undefined,
    config,
    json,
    stored: { weights, names },
    weights: withShares(weights, config),
    text: fluxText(config),
    sampled: { predicts: "velocity", original: publishedSampler(config) },
  });
}

/** A token packs 2 × 2 pixels of each channel. */
const PACKED = 4;

const DEV_SHIFT = {
  kind: "dynamic",
  baseShift: 0.5,
  maxShift: 1.15,
  baseTokens: 256,
  maxTokens: 4096,
} as const;

/** A FLUX transformer of this configuration, without weights, and its own size of a picture in tokens. */
export function fluxModel(config: FluxConfig, tokenGrid: Grid = DEFAULT_GRID): ModelShape {
  const [rows, columns] = tokenGrid;
  return {
    transformer: fluxScene(config, {}, tokenGrid).transformer,
    latent: [config.inChannels / PACKED, 2 * rows, 2 * columns],
    tokenGrid,
    classes: 0,
    classNames: [],
    resizes: true,
    scene: (request) => fluxScene(config, request, tokenGrid),
  };
}

/** *Source:* diffusers `FluxPipeline`; the schedulers of FLUX.1-dev and, without guidance, FLUX.1-schnell. */
export function publishedSampler({ guidanceEmbeds }: FluxConfig): SamplerDefaults {
  if (!guidanceEmbeds) return { name: "flow-euler", steps: 4, guidance: 1 };
  return { name: "flow-euler", steps: 28, guidance: 3.5, shift: DEV_SHIFT };
}

/** Replaces `proj_out` by the shares in which single blocks take it. */
export function withShares(weights: Weights, config: FluxConfig): Weights {
  if (isInShares(config, weights)) return weights;
  const views = new Map<string, TensorPart[]>();
  for (const name of weights.names) views.set(name, [{ source: name }]);
  for (const [name, part] of projectionShares(config)) {
    views.delete(part.source);
    views.set(name, [part]);
  }
  return viewWeights(weights, views);
}
