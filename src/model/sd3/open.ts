/**
 * A Stable Diffusion 3 transformer opened from its directory, and what its runs are about.
 *
 * @module
 */

import { textAt } from "../../assets/json.ts";
import type { ModelDirectory } from "../../assets/model_dir.ts";
import { AssetError } from "../../errors.ts";
import type { SamplerDefaults } from "../../sampler/config.ts";
import { joinRows } from "../../tensor/rows.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { Family, Model, ModelChoice } from "../model.ts";
import type { Condition } from "../module_graph.ts";
import { type ModelShape, openedModel } from "../opened_model.ts";
import { chooseRows, type Scene, type SceneRequest } from "../scene.ts";
import { checkTensors } from "../tensor_shapes.ts";
import { CLASS_NAME, parseSd3Config, type Sd3Config, sd3Tensors } from "./config.ts";
import { sd3, TEXT_FEATURES } from "./sd3.ts";

/** Stable Diffusion 3.5 Large, under diffusers' names. *Source:* arXiv 2403.03206. */
export const SD3: Family = {
  architecture: "sd3",
  title: "Stable Diffusion 3",
  classes: [CLASS_NAME, "StableDiffusion3Pipeline"],
  conditions: ["text", "pooled", "negative_text", "negative_pooled"],
  claims: (config) => textAt(config, "_class_name") === CLASS_NAME,
  open: openSd3,
};

async function openSd3(directory: ModelDirectory, choice: ModelChoice): Promise<Model> {
  const { manifest, weights, name } = directory;
  const json = manifest?.config ?? directory.config;
  if (json === undefined) throw new AssetError(`Cannot open ${name}: it must have a config.json`);
  const config = parseSd3Config(json);
  const tensors = sd3Tensors(config);
  checkTensors(tensors, weights, "an SD3 transformer");
  return await openedModel(directory, choice, {
    shape: sd3Model(config),
    config,
    json,
    stored: { weights, names: tensors.keys() },
    weights,
    sampled: { predicts: "velocity", original: publishedSampler(config) },
  });
}

/** *Source:* diffusers `StableDiffusion3Pipeline`, which guides all channels. */
function publishedSampler({ inChannels }: Sd3Config): SamplerDefaults {
  const shift = { kind: "static", shift: 3 } as const;
  return { name: "flow-euler", steps: 28, guidance: 7, guidanceChannels: inChannels, shift };
}

/** Text tokens that costs assume where no text is at hand. */
const DEFAULT_TEXT_TOKENS = 333;

function sd3Model(config: Sd3Config): ModelShape {
  const { sampleSize, patchSize, inChannels } = config;
  return {
    transformer: sd3(config, DEFAULT_TEXT_TOKENS),
    latent: [inChannels, sampleSize, sampleSize],
    tokenGrid: [sampleSize / patchSize, sampleSize / patchSize],
    classes: 0,
    classNames: [],
    scene: (request) => sd3Scene(config, request),
  };
}

/**
 * The scene of a request; guided where there is negative text, for which the null half's rows are.
 *
 * @throws {RangeError} When shapes do not fit the model or each other; names which, wanted and given.
 */
function sd3Scene(config: Sd3Config, { conditions = {}, grid: wanted }: SceneRequest): Scene {
  const { sampleSize, patchSize, inChannels, jointDim, pooledDim } = config;
  const grid = [sampleSize / patchSize, sampleSize / patchSize];
  if (wanted !== undefined && `${wanted}` !== `${grid}`) {
    refuse("grid", grid.join(" × "), wanted.join(" × "));
  }
  for (const name of Object.keys(conditions)) {
    if (!SD3.conditions.includes(name)) refuse("conditions", SD3.conditions.join(", "), name);
  }
  const { text, pooled, negative_text: negative, negative_pooled: negativePooled } = conditions;
  const [rows = 0, tokens = DEFAULT_TEXT_TOKENS] = text?.dims ?? [];
  check("text", text, [rows, tokens, jointDim]);
  check("pooled", pooled, [rows, pooledDim]);
  check("negative_text", negative, [1, tokens, jointDim]);
  check("negative_pooled", negativePooled, [1, pooledDim]);
  const given = (tensors: readonly (Tensor | undefined)[]): Tensor =>
    joinRows(tensors.filter((tensor) => tensor !== undefined));
  const pooledRows = given([pooled, negativePooled]);
  const condition = (time: number, label: number): Condition => {
    const vector = pooledRows.data.slice(label * pooledDim, (label + 1) * pooledDim);
    return { time, label, vector: pooled === undefined ? new Float32Array(pooledDim) : vector };
  };
  return {
    transformer: sd3(config, tokens),
    latentDims: [inChannels, sampleSize, sampleSize],
    channelAxis: 1,
    tokens: grid[0]! * grid[1]!, // two
    tokenGrid: grid,
    conditions: rows,
    ...(negative !== undefined && { guidedBy: "halves" }),
    batch(labels, { time, guidance }): Condition[] {
      const nulls = guidance === 1 || negative === undefined ? [] : labels.map(() => rows);
      return [...labels, ...nulls].map((label) => condition(time, label));
    },
    planes: (latents) => latents,
    inputs: (batch) => ({
      [TEXT_FEATURES]: chooseRows(given([text, negative]), batch.map(({ label }) => label)),
    }),
  };
}

function check(name: string, tensor: Tensor | undefined, wanted: readonly number[]): void {
  if (tensor === undefined) return;
  if (`${tensor.dims}` !== `${wanted}`) refuse(name, `[${wanted}]`, `[${tensor.dims}]`);
  if (!tensor.data.every(Number.isFinite)) refuse(name, "finite numbers", "not finite");
}

function refuse(what: string, wanted: string, value: unknown): never {
  throw new RangeError(`Cannot generate: ${what} must be ${wanted}: current value is ${value}`);
}
