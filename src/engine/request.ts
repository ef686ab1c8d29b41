/**
 * A request with every default filled in and every value checked.
 *
 * @module
 */

import type { Model } from "../model/model.ts";
import type { Conditions, Scene } from "../model/scene.ts";
import type { Plan } from "../plan/plan.ts";
import { findLabel, wantedLabel } from "./class_names.ts";
import type { Sampler } from "../sampler/sampler.ts";
import { makeSampler } from "../sampler/solvers.ts";
import { normalRows } from "../tensor/random.ts";
import { elementCount, type Tensor } from "../tensor/tensor.ts";

/** What pictures are conditioned on, for models whose conditions are not labels. Labels choose rows. */
export interface ConditionOptions {
  /** Tensors by the names that files and the model's family have for them. */
  readonly conditions?: Conditions | undefined;
  /** Text features `(n, M, W)`: short for the condition `text`. */
  readonly text?: Tensor | undefined;
  /** Pooled text features `(n, P)`: short for the condition `pooled`. */
  readonly pooled?: Tensor | undefined;
  /** Position of every token of a picture `(T, axes)`, else a grid's: short for the condition `image_ids`. */
  readonly imageIds?: Tensor | undefined;
  /** Size of a picture in tokens, such as rows and columns; absent = the noise's or the model's own. */
  readonly grid?: readonly number[] | undefined;
}

/** What to generate; what is left out is the model's default. */
export interface GenerateOptions extends ConditionOptions {
  /**
   * One class index or name for each picture; the first ten classes unless given. Of a model of text, the
   * row of text; every row once unless given.
   */
  readonly labels?: readonly (number | string)[];
  /** Prompts instead of text features, for a pipeline with an encoder. */
  readonly prompts?: readonly string[];
  /** Noise of picture i comes from `seed + i`, 0 unless given; or a seed for each picture. */
  readonly seed?: number | readonly number[];
  /** Starting noise `(n, C, H, W)`, or packed `(n, T, C)`, instead of a seed. */
  readonly noise?: Tensor;
  /** Sigmas of the steps before they are shifted, falling from 1; flow matching only. */
  readonly sigmas?: readonly number[];
  /** Sampling steps, 1 … 1000; the plan's, if there is a plan. */
  readonly steps?: number;
  /**
   * Guidance scale; at most 1 is off and runs no null half. One for each picture may be given: all of
   * them above 1, or none.
   */
  readonly guidance?: number | readonly number[];
  /** What to reuse at which step; without a plan everything runs. */
  readonly plan?: Plan | undefined;
  /** Stops before the next graph; nothing is left behind. */
  readonly signal?: AbortSignal;
}

/** What a run needs to know, but for its plan. */
export interface ResolvedRequest {
  /** Label of each picture. */
  readonly labels: readonly number[];
  /** Seed of each picture; empty where noise was given. */
  readonly seeds: readonly number[];
  /** Starting noise `(n, C, H, W)`, or packed `(n, T, C)`. */
  readonly noise: Tensor;
  /** Sampling steps. */
  readonly steps: number;
  /** Guidance scale; of the first picture where each has its own. */
  readonly guidance: number;
  /** Guidance scale of each picture, where each was given its own. */
  readonly scales?: readonly number[];
  /** Sigmas of the steps before they are shifted, if they were given. */
  readonly sigmas?: readonly number[];
  /** What the run is about, at the size of its pictures. */
  readonly scene: Scene;
  /** What takes a latent from step to step. */
  readonly sampler: Sampler;
}

/**
 * Fills in the model's defaults.
 *
 * @throws {RangeError} When a label, the seed, the steps, the guidance or the noise is out of range.
 */
export function resolveRequest(model: Model, options: GenerateOptions): ResolvedRequest {
  const { sigmas } = options;
  const scene = sceneOf(model, options);
  const labels = resolveLabels(model, options, scene);
  const steps = options.steps ?? options.plan?.sampler.times.length ?? sigmas?.length ??
    model.sampler.steps;
  checkWithin("steps", steps, 1, 1000);
  const seeds = resolveSeeds(options, labels.length);
  return {
    labels,
    seeds,
    noise: resolveNoise(options, { seeds, dims: [labels.length, ...scene.latentDims] }),
    steps,
    ...resolveGuidance(model, { wanted: options.guidance, pictures: labels.length }),
    ...(sigmas !== undefined && { sigmas }),
    scene,
    sampler: makeSampler(model.sampler, { steps, sigmas, tokens: scene.tokens }),
  };
}

/**
 * What a run under these options is about.
 *
 * @throws {RangeError} When conditions do not fit the model or each other.
 */
export function sceneOf(
  model: Model,
  { conditions = {}, text, pooled, imageIds, grid, noise }: ConditionOptions & {
    readonly noise?: Tensor;
  },
): Scene {
  const all: Record<string, Tensor> = { ...conditions };
  for (const [name, tensor] of Object.entries({ text, pooled, image_ids: imageIds })) {
    if (tensor !== undefined) all[name] = tensor;
  }
  return model.scene({ conditions: all, grid, noiseDims: noise?.dims });
}

/** Seeds are checked even where noise is given; then there are none. */
function resolveSeeds({ seed = 0, noise }: GenerateOptions, pictures: number): number[] {
  const given = typeof seed === "number" ? undefined : seed;
  if (given !== undefined && given.length !== pictures) {
    throw new RangeError(
      `Cannot generate: seeds must be ${pictures}, one for each picture: ` +
        `current value is ${given.length}`,
    );
  }
  const first = typeof seed === "number" ? seed : 0;
  checkWithin("seed", first, 0, Number.MAX_SAFE_INTEGER - pictures);
  for (const each of given ?? []) checkWithin("seed", each, 0, Number.MAX_SAFE_INTEGER);
  if (noise !== undefined) return [];
  return given === undefined ? Array.from({ length: pictures }, (_, i) => first + i) : [...given];
}

/** The one place where noise is made: picture i's from seed i alone. */
function resolveNoise(
  { noise }: GenerateOptions,
  { seeds, dims }: { readonly seeds: readonly number[]; readonly dims: readonly number[] },
): Tensor {
  if (noise === undefined) return normalRows(dims.slice(1), seeds);
  checkNoise(noise, dims);
  return noise;
}

/**
 * The index of a class given by name (letter case does not matter) or by index.
 *
 * @throws {RangeError} When there is no such class.
 */
export function resolveLabel(
  model: Model,
  label: number | string,
  count: number = model.classes,
): number {
  const classes = { classes: count, classNames: model.classNames };
  const found = findLabel(label, classes);
  if (found !== undefined) return found;
  throw new RangeError(
    `Cannot generate: label must be ${wantedLabel(label, classes)}: current value is ${label}`,
  );
}

function resolveLabels(
  model: Model,
  options: GenerateOptions,
  { conditions }: Scene,
): number[] {
  const count = conditions ?? model.classes;
  if (count === 0) {
    throw new RangeError(
      `Cannot generate: text and pooled must be given to ${model.id}: current value is none`,
    );
  }
  const length = conditions ?? Math.min(model.classes, 10);
  const first = Array.from({ length }, (_, label) => label);
  const labels = options.labels?.map((label) => resolveLabel(model, label, count)) ?? first;
  if (labels.length > 0) return labels;
  throw new RangeError(
    "Cannot generate: labels must name at least one class: current value is none",
  );
}

function resolveGuidance(
  model: Model,
  { wanted, pictures }: {
    readonly wanted: GenerateOptions["guidance"];
    readonly pictures: number;
  },
): Pick<ResolvedRequest, "guidance" | "scales"> {
  if (typeof wanted !== "object") return { guidance: resolveScale(model, wanted) };
  const scales = wanted.map((scale) => resolveScale(model, scale));
  const unguided = scales.filter((scale) => scale === 1).length;
  const mixes = unguided > 0 && unguided < pictures; // halves cannot
  if (scales.length === pictures && (!mixes || model.embedsGuidance)) {
    return { guidance: scales[0]!, scales }; // there is at least one picture
  }
  throw new RangeError(
    `Cannot generate: guidance must be one number for each of ${pictures} pictures, all above 1 or none: ` +
      `current value is [${wanted}]`,
  );
}

/**
 * A scale that a model is run with: where guidance takes a null half, at most 1 is off and reads as 1.
 *
 * *Source:* diffusers `DiTPipeline`: "guidance scale is enabled by setting guidance_scale > 1".
 */
function resolveScale(model: Model, wanted: number | undefined): number {
  const { nullLabel, embedsGuidance, sampler } = model;
  const guides = nullLabel !== undefined || embedsGuidance === true;
  const guidance = wanted ?? (guides ? sampler.guidance : 1);
  if (!Number.isFinite(guidance) || guidance < 0) {
    throw new RangeError(
      `Cannot generate: guidance must be at least 0: current value is ${guidance}`,
    );
  }
  if (embedsGuidance) return guidance;
  if (guidance <= 1 || guides) return Math.max(1, guidance);
  const lacks = model.classes > 0 ? "a null label" : "a guidance embedding";
  throw new RangeError(
    `Cannot generate: guidance must be at most 1 for a model without ${lacks}: current value is ${guidance}`,
  );
}

function checkWithin(what: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new RangeError(
    `Cannot generate: ${what} must be an integer in ${least} … ${most}: current value is ${value}`,
  );
}

function checkNoise({ dims, data }: Tensor, wanted: readonly number[]): void {
  if (`${dims}` !== `${wanted}`) {
    throw new RangeError(`Cannot generate: noise must be [${wanted}]: current value is [${dims}]`);
  }
  if (data.length !== elementCount(wanted)) {
    throw new RangeError(
      `Cannot generate: noise must have ${
        elementCount(wanted)
      } numbers: current value is ${data.length}`,
    );
  }
  if (data.every(Number.isFinite)) return;
  throw new RangeError("Cannot generate: noise must be finite numbers");
}
