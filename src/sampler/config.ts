/**
 * A sampler as data: its name and what its schedule depends on, as `model.json` has it.
 */

import { z } from "npm:zod@4.6.7";
import { checkJson } from "../assets/json.ts";

/** How a model is sampled unless the caller chooses otherwise. */
export interface SamplerDefaults {
  /** Name of the sampler: DDIM, or Euler's method on a flow. */
  readonly name: "ddim" | "flow-euler";
  /** Steps of a picture, 1 … 1000. */
  readonly steps: number;
  /** Guidance scale; 1 is none. */
  readonly guidance: number;
  /** Latent channels that are guided; absent is the original's first three. */
  readonly guidanceChannels?: number;
  /** Which steps are visited where noise is predicted; absent is the original's respacing of its linear betas. */
  readonly spacing?: DdimSpacing;
  /** How sigmas are shifted where velocity is predicted; absent is not at all. */
  readonly shift?: SigmaShift;
}

/** A sampler, and what its schedule depends on. */
export type SamplerConfig = Pick<SamplerDefaults, "name" | "spacing" | "shift">;

/** Diffusers' way to choose DDIM's steps out of the 1000 of training. *Source:* `DDIMScheduler`. */
export interface DdimSpacing {
  /** How times are spread. */
  readonly kind: "leading" | "trailing" | "linspace";
  /** Added to each time of `leading`. */
  readonly offset: number;
  /** Whether the signal's share after the last step is 1, or that of time 0. */
  readonly endsAtOne: boolean;
  /** First and last beta of training, and what is evenly spaced between them: betas, or their roots. */
  readonly betas: {
    /** Beta of time 0. */
    readonly first: number;
    /** Beta of time 999. */
    readonly last: number;
    /** `linear` betas, or `scaled_linear` roots. */
    readonly curve: "linear" | "scaled_linear";
  };
}

/** A shift of sigmas towards noise: the same for all pictures, or more for larger ones. */
export type SigmaShift =
  | {
    /** Always `"static"`. */
    readonly kind: "static";
    /** 1 leaves sigmas as they are. */
    readonly shift: number;
  }
  | {
    /** Always `"dynamic"`. */
    readonly kind: "dynamic";
    /** Exponent of the shift for `baseTokens`. */
    readonly baseShift: number;
    /** Exponent of the shift for `maxTokens`; straight between and beyond. */
    readonly maxShift: number;
    /** Tokens of a small picture. */
    readonly baseTokens: number;
    /** Tokens of a large one. */
    readonly maxTokens: number;
  };

const beta = z.number().positive().max(0.999);
const defaults = z.strictObject({
  name: z.enum(["ddim", "flow-euler"]),
  steps: z.int().min(1).max(1000),
  guidance: z.number().min(0),
  guidanceChannels: z.int().min(1).exactOptional(),
  spacing: z.strictObject({
    kind: z.enum(["leading", "trailing", "linspace"]),
    offset: z.int().min(0).max(1000),
    endsAtOne: z.boolean(),
    betas: z.strictObject({
      first: beta,
      last: beta,
      curve: z.enum(["linear", "scaled_linear"]),
    }),
  }).exactOptional(),
  shift: z.discriminatedUnion("kind", [
    z.strictObject({ kind: z.literal("static"), shift: z.number().positive() }),
    z.strictObject({
      kind: z.literal("dynamic"),
      baseShift: z.number(),
      maxShift: z.number(),
      baseTokens: z.int().min(1),
      maxTokens: z.int().min(2),
    }),
  ]).exactOptional(),
});

/**
 * Reads the `sampler` of a `model.json`.
 *
 * @throws {AssetError} Naming the first key at fault.
 */
export function parseSampler(sampler: unknown): SamplerDefaults {
  return checkJson({ sampler }, z.strictObject({ sampler: defaults }), "model.json").sampler;
}
