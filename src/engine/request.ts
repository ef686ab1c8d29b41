/**
 * A request with every default filled in and every value checked.
 */

import type { Model } from "../model/model.ts";
import type { Conditions, Scene } from "../model/scene.ts";
import type { Plan } from "../plan/plan.ts";
import type { NamedPlan } from "./bundled_plans.ts";
import {
  type GuidanceOptions,
  isTrulyGuided,
  type ResolvedGuidance,
  resolveGuidance,
  resolveTrueGuidance,
} from "./request_guidance.ts";
import type { PreparingOptions } from "./preparing.ts";
import type { EditOptions, ResolvedEdit } from "./request_edit.ts";
import {
  checkWithin,
  type PictureOptions,
  type ResolvedPictures,
  resolvePictures,
} from "./request_pictures.ts";
import { chooseSampler } from "../sampler/choose_sampler.ts";
import type { SamplerDefaults } from "../sampler/config.ts";
import type { Sampler } from "../sampler/sampler.ts";
import { refuseOtherTimes, samplerOf } from "./plan_sampler.ts";
import type { KnownPicture } from "../sampler/known.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** What pictures are conditioned on, for models whose conditions are not labels; labels select rows. */
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
export interface GenerateOptions
  extends ConditionOptions, PictureOptions, GuidanceOptions, EditOptions, PreparingOptions {
  /** What pictures show, in words, for a model with text encoders; an empty text is a prompt like any other. */
  readonly prompt?: string | undefined;
  /** A prompt for each picture; the model's examples unless given. With `count` they are taken in turn. */
  readonly prompts?: readonly string[] | undefined;
  /** For the second text encoder (of FLUX: T5) instead of the prompt: one text, or one for each prompt. */
  readonly prompt2?: string | readonly string[] | undefined;
  /** What pictures shall not show: one text, or one for each prompt. Takes effect with `trueGuidance`. */
  readonly negativePrompt?: string | readonly string[] | undefined;
  /** Sigmas of the steps before they are shifted, falling from 1; flow matching only. */
  readonly sigmas?: readonly number[];
  /**
   * Another solver than the model's, by name, and after a colon how its times are spread: `unipc`,
   * `dpmpp-3m:log-snr`. {@linkcode PipelineOptions.sampler} chooses it for all runs.
   */
  readonly sampler?: string | undefined;
  /** Sampling steps, 1 … 1000, which are calls of the model; the plan's, if there is a plan. */
  readonly steps?: number | undefined;
  /**
   * What to reuse at which step: `auto`, unless given, is the bundled plan that fits model and steps, if one
   * does; `none` computes every step in full; else the name of a bundled plan, or a plan.
   */
  readonly plan?: "auto" | "none" | (string & Record<never, never>) | Plan | NamedPlan | undefined;
  /**
   * A policy that decides at each step of each picture whether the model runs, instead of a plan: `first-block`, or
   * `first-block:threshold=0.1` with settings other than the published ones. Not on a GPU.
   */
  readonly policy?: string | undefined;
  /**
   * Computes segments of the steps beside each other, as one batch: `srds`, or `srds:segments=5,threshold=0` with other
   * settings. Instead of a plan, with `ddim` or `flow-euler` only. It takes more work, and less time where a batch
   * takes hardly longer than one picture.
   */
  readonly parallel?: string | undefined;
  /** `latents` skips decoding; `pictures` unless given. */
  readonly output?: "pictures" | "latents";
  /**
   * Whether `steps()` reads the latents of each step back from a GPU; true unless given. Without it a GPU need not
   * wait for the host. `generate()` reads the last ones.
   */
  readonly readBack?: boolean;
  /** Stops before the next graph; nothing is kept. */
  readonly signal?: AbortSignal | undefined;
}

/** Everything that a run depends on, except its plan. */
export interface ResolvedRequest extends ResolvedGuidance, ResolvedPictures {
  readonly steps: number;
  /** Sigmas of the steps before they are shifted, if they were given. */
  readonly sigmas?: readonly number[];
  /** The scene of the run, at the size of its pictures. */
  readonly scene: Scene;
  /** What takes a latent from step to step. */
  readonly sampler: Sampler;
  /** The configuration that it was made of. */
  readonly sampling: SamplerDefaults;
  /** The solver that was asked for, where one was. */
  readonly solver?: string;
  /** The picture that the run begins from; absent = noise alone. */
  readonly edit?: ResolvedEdit;
  /** Its latents, once they are encoded. */
  readonly known?: KnownPicture;
}

/**
 * Fills in the model's defaults; of the plan it takes the number of steps, and the times that the plan owns.
 *
 * @throws {RangeError} When a label, the seed, the steps, the guidance or the noise is out of range.
 * @throws {TypeError} When there is no such output.
 * @throws {PlanError} When other steps or sigmas are given beside a plan that owns its times.
 */
export function resolveRequest(model: Model, options: GenerateOptions): ResolvedRequest {
  const { sigmas } = options;
  const plan = planOf(options.plan);
  refuseOtherTimes(plan, options);
  checkOutput(options);
  const trueGuidance = resolveTrueGuidance(model, options);
  const scene = sceneOf(model, options);
  const sampling = samplingOf(model, options);
  const steps = options.steps ?? plan?.sampler.times.length ?? sigmas?.length ?? sampling.steps;
  checkWithin("steps", steps, 1, 1000);
  const pictures = resolvePictures(model, scene, options);
  return {
    ...pictures,
    steps,
    ...resolveGuidance(model, scene, {
      wanted: options.guidance,
      pictures: pictures.labels.length,
    }),
    ...(trueGuidance !== undefined && { trueGuidance }),
    ...(sigmas !== undefined && { sigmas }),
    scene,
    sampler: samplerOf(sampling, { steps, sigmas, tokens: scene.tokens, plan }),
    sampling,
    ...(options.sampler !== undefined && { solver: options.sampler }),
  };
}

/**
 * How a run with these options is sampled.
 *
 * @throws {RangeError} When there is no such solver for the model.
 */
export function samplingOf(
  { sampler: own }: Pick<Model, "sampler">,
  { sampler }: Pick<GenerateOptions, "sampler">,
): SamplerDefaults {
  return sampler === undefined ? own : chooseSampler(own, sampler);
}

/**
 * The scene of a run with these options.
 *
 * @throws {RangeError} When conditions do not fit the model or each other.
 */
export function sceneOf(
  model: Model,
  { conditions = {}, text, pooled, imageIds, grid, noise, ...guiding }:
    & ConditionOptions
    & Pick<GenerateOptions, "noise" | "negativeConditions" | "trueGuidance">,
): Scene {
  const all: Record<string, Tensor> = { ...conditions };
  for (const [name, tensor] of Object.entries({ text, pooled, image_ids: imageIds })) {
    if (tensor !== undefined) all[name] = tensor;
  }
  const negative = isTrulyGuided(guiding) ? guiding.negativeConditions : undefined;
  return model.scene({ conditions: all, negative, grid, noiseDims: noise?.dims });
}

/** JavaScript may ask for anything, and would get no pictures without a word. */
function checkOutput({ output = "pictures" }: GenerateOptions): void {
  if (output === "pictures" || output === "latents") return;
  throw new TypeError(
    `Cannot generate: output must be pictures or latents: current value is ${output}`,
  );
}

/** A plan that is given as an object; a named plan is read elsewhere. */
function planOf(plan: GenerateOptions["plan"]): Plan | undefined {
  if (typeof plan !== "object") return undefined;
  return "plan" in plan ? plan.plan : plan;
}
