/**
 * How a request guides its pictures.
 */

import type { Model } from "../model/model.ts";
import type { Conditions, Scene } from "../model/scene.ts";

/** What leads pictures. */
export interface GuidanceOptions {
  /**
   * Guidance scale; at most 1 is off and runs no null half. One for each picture may be given: all of
   * them above 1, or none.
   */
  readonly guidance?: number | readonly number[] | undefined;
  /**
   * How far to lead away from the negative prompt, for models that take `guidance` as an input; above 1 it
   * runs a second half of the batch. Off unless given. Diffusers' `true_cfg_scale`.
   */
  readonly trueGuidance?: number | undefined;
  /**
   * What pictures shall not show, as `conditions`: one row for all of them, or one for each row of the
   * conditions. Takes effect with `trueGuidance`.
   */
  readonly negativeConditions?: Conditions | undefined;
}

/** Scales of a run. */
export interface ResolvedGuidance {
  /** Guidance scale; of the first picture where each has its own. */
  readonly guidance: number;
  /** Guidance scale of each picture, where each was given its own. */
  readonly scales?: readonly number[];
  /** Scale between the halves of a batch whose null half is negative conditions; absent without them. */
  readonly trueGuidance?: number;
}

/**
 * The scales of a request; `scales` where each picture was given its own.
 *
 * @throws {RangeError} When the model cannot be guided so, or there is not one for each picture.
 */
export function resolveGuidance(
  model: Model,
  scene: Scene,
  { wanted, pictures }: {
    readonly wanted: GuidanceOptions["guidance"];
    readonly pictures: number;
  },
): Pick<ResolvedGuidance, "guidance" | "scales"> {
  if (typeof wanted !== "object") return { guidance: resolveScale(model, scene, wanted) };
  const scales = wanted.map((scale) => resolveScale(model, scene, scale));
  const unguided = scales.filter((scale) => scale === 1).length;
  const mixes = unguided > 0 && unguided < pictures; // halves cannot
  if (scales.length === pictures && (!mixes || scene.guidedBy === "scale")) {
    return { guidance: scales[0]!, scales }; // there is at least one picture
  }
  throw new RangeError(
    `Cannot generate: guidance must be one number for each of ${pictures} pictures, all above 1 or none: ` +
      `current value is [${wanted}]`,
  );
}

/**
 * The scale that a model is run with: where guidance takes a null half, 1 or less is off and becomes 1.
 *
 * *Source:* diffusers `DiTPipeline`: "guidance scale is enabled by setting guidance_scale > 1".
 */
function resolveScale(
  { sampler, classes }: Model,
  { guidedBy }: Scene,
  wanted: number | undefined,
): number {
  const guidance = wanted ?? (guidedBy === undefined ? 1 : sampler.guidance);
  if (!Number.isFinite(guidance) || guidance < 0) {
    throw new RangeError(
      `Cannot generate: guidance must be at least 0: current value is ${guidance}`,
    );
  }
  if (guidedBy === "scale") return guidance;
  if (guidance <= 1 || guidedBy === "halves") return Math.max(1, guidance);
  const lacks = classes > 0 ? "a null label" : "a guidance embedding";
  throw new RangeError(
    `Cannot generate: guidance must be at most 1 for a model without ${lacks}: current value is ${guidance}`,
  );
}

/** The scale of true guidance where it has an effect. @throws {RangeError} When the model cannot be guided so. */
export function resolveTrueGuidance(
  { classes }: Model,
  options: GuidanceOptions,
): number | undefined {
  const { trueGuidance: scale } = options;
  if (scale === undefined) return undefined;
  const most = classes > 0 ? 1 : Number.MAX_VALUE;
  if (scale >= 0 && scale <= most) return isTrulyGuided(options) ? scale : undefined;
  const wanted = classes > 0 ? "at most 1 where guidance takes a null label" : "at least 0";
  throw new RangeError(
    `Cannot generate: trueGuidance must be ${wanted}: current value is ${scale}`,
  );
}

/** Whether there is a null half of negative conditions. *Source:* diffusers `FluxPipeline`: `do_true_cfg`. */
export function isTrulyGuided(
  { trueGuidance = 1, negativeConditions }: GuidanceOptions,
): boolean {
  return trueGuidance > 1 && negativeConditions !== undefined;
}
