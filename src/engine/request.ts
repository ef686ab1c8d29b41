/**
 * A request with every default filled in and every value checked.
 *
 * @module
 */

import type { Model } from "../model/model.ts";
import type { Plan } from "../plan/plan.ts";
import { elementCount, type Tensor } from "../tensor/tensor.ts";

/** What to generate; what is left out is the model's default. */
export interface GenerateOptions {
  /** One class index or name for each picture; the first ten classes unless given. */
  readonly labels?: readonly (number | string)[];
  /** Noise of picture i comes from `seed + i`; 0 unless given. */
  readonly seed?: number;
  /** Starting noise `(n, C, H, W)` instead of a seed. */
  readonly noise?: Tensor;
  /** Sampling steps, 1 … 1000; the plan's, if there is a plan. */
  readonly steps?: number;
  /** Guidance scale; 1 runs no null half. One for each picture may be given: all of them 1, or none. */
  readonly guidance?: number | readonly number[];
  /** What to reuse at which step; without a plan everything runs. */
  readonly plan?: Plan | undefined;
  /** Stops before the next graph; nothing is left behind. */
  readonly signal?: AbortSignal;
}

/** What a run needs to know. */
export interface ResolvedRequest {
  /** Label of each picture. */
  readonly labels: readonly number[];
  /** Seed of the first picture. */
  readonly seed: number;
  /** Starting noise, if it was given. */
  readonly noise?: Tensor;
  /** Sampling steps. */
  readonly steps: number;
  /** Guidance scale; of the first picture where each has its own. */
  readonly guidance: number;
  /** Guidance scale of each picture, where each was given its own. */
  readonly scales?: readonly number[];
}

/**
 * Fills in the model's defaults.
 *
 * @throws {RangeError} When a label, the seed, the steps, the guidance or the noise is out of range.
 */
export function resolveRequest(model: Model, options: GenerateOptions): ResolvedRequest {
  const labels = resolveLabels(model, options);
  const seed = options.seed ?? 0;
  checkWithin("seed", seed, 0, Number.MAX_SAFE_INTEGER - labels.length);
  const steps = options.steps ?? options.plan?.sampler.times.length ?? model.sampler.steps;
  checkWithin("steps", steps, 1, 1000);
  const { noise } = options;
  if (noise !== undefined) checkNoise(noise, [labels.length, ...model.latent]);
  return {
    labels,
    seed,
    steps,
    ...resolveGuidance(model, { wanted: options.guidance, pictures: labels.length }),
    ...(noise !== undefined && { noise }),
  };
}

/**
 * The index of a class given by name (letter case does not matter) or by index.
 *
 * @throws {RangeError} When there is no such class.
 */
export function resolveLabel(model: Model, label: number | string): number {
  const index = typeof label === "string" ? indexOf(model, label) : label;
  if (Number.isInteger(index) && index >= 0 && index < model.classes) return index;
  const names = model.classNames.length > 0 ? ` or one of ${model.classNames.join(", ")}` : "";
  throw new RangeError(
    `Cannot generate: label must be an index in 0 … ${
      model.classes - 1
    }${names}: current value is ${label}`,
  );
}

/** The class of this name, else the index that the text writes in decimal digits, else NaN. */
function indexOf({ classNames }: Model, label: string): number {
  const byName = classNames.findIndex((name) => sameName(name, label));
  if (byName >= 0) return byName;
  return /^\s*\d+\s*$/.test(label) ? Number(label) : NaN;
}

function resolveLabels(model: Model, options: GenerateOptions): number[] {
  const first = Array.from({ length: Math.min(model.classes, 10) }, (_, label) => label);
  const labels = options.labels?.map((label) => resolveLabel(model, label)) ?? first;
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
  if (scales.length === pictures && (unguided === 0 || unguided === pictures)) {
    return { guidance: scales[0]!, scales }; // there is at least one picture
  }
  throw new RangeError(
    `Cannot generate: guidance must be one number for each of ${pictures} pictures, all 1 or none: ` +
      `current value is [${wanted}]`,
  );
}

function resolveScale(model: Model, wanted: number | undefined): number {
  const guidance = wanted ?? (model.nullLabel === undefined ? 1 : model.sampler.guidance);
  if (!Number.isFinite(guidance) || guidance < 0) {
    throw new RangeError(
      `Cannot generate: guidance must be at least 0: current value is ${guidance}`,
    );
  }
  if (guidance === 1 || model.nullLabel !== undefined) return guidance;
  throw new RangeError(
    `Cannot generate: guidance must be 1 for a model without a null label: current value is ${guidance}`,
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

function sameName(a: string, b: string): boolean {
  return a.toLowerCase() === b.trim().toLowerCase();
}
