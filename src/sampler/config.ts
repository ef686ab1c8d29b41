/**
 * A sampler as data: its name and what its schedule depends on, as `model.json` has it.
 */

import { z } from "npm:zod@4.6.7";
import { checkJson } from "../assets/json.ts";

/** Solvers of models that predict noise, whatever they predict it as. */
export type NoiseSampler =
  | "ddim"
  | "dpmpp-2m"
  | "dpmpp-3m"
  | "unipc"
  | "unipc-3"
  | "unipc-bh1"
  | "unipc-3-bh1"
  | "deis"
  | "deis-3"
  | "heun";
/** Solvers of models that predict velocity. */
export type FlowSampler =
  | "flow-euler"
  | "flow-heun"
  | "flow-dpmpp-2m"
  | "flow-dpmpp-3m"
  | "flow-unipc"
  | "flow-unipc-3";
/** Ways to spread the times of a solver over those of training. */
export type SpacingKind =
  | "leading"
  | "trailing"
  | "linspace"
  | "karras"
  | "exponential"
  | "beta"
  | "log-snr";
/** The noise, α · noise − σ · picture, or the picture. */
export type NoisePrediction = "epsilon" | "v" | "x0";

export const NOISE_SAMPLERS: readonly NoiseSampler[] = [
  "ddim",
  "dpmpp-2m",
  "dpmpp-3m",
  "unipc",
  "unipc-3",
  "unipc-bh1",
  "unipc-3-bh1",
  "deis",
  "deis-3",
  "heun",
];
export const FLOW_SAMPLERS: readonly FlowSampler[] = [
  "flow-euler",
  "flow-heun",
  "flow-dpmpp-2m",
  "flow-dpmpp-3m",
  "flow-unipc",
  "flow-unipc-3",
];
export const SPACINGS: readonly SpacingKind[] = [
  "leading",
  "trailing",
  "linspace",
  "karras",
  "exponential",
  "beta",
  "log-snr",
];

/** How a model is sampled unless the caller chooses otherwise. */
export interface SamplerDefaults {
  /** Name of the solver. */
  readonly name: NoiseSampler | FlowSampler;
  /** Steps of a picture, 1 … 1000. */
  readonly steps: number;
  /** Guidance scale; 1 is none. */
  readonly guidance: number;
  /** Latent channels that are guided; absent is the original's first three. */
  readonly guidanceChannels?: number;
  /** What a model that predicts noise predicts it as; absent is the noise itself. */
  readonly predicts?: NoisePrediction;
  /** Which times are visited where noise is predicted; absent is the original's respacing of its linear betas. */
  readonly spacing?: NoiseSpacing;
  /** How sigmas are shifted where velocity is predicted; absent is not at all. */
  readonly shift?: SigmaShift;
}

/** A sampler, and what its schedule depends on. */
export type SamplerConfig = Pick<SamplerDefaults, "name" | "predicts" | "spacing" | "shift">;

/** Diffusers' way to choose a solver's steps out of the 1000 of training. *Source:* its schedulers. */
export interface NoiseSpacing {
  /** How times are spread: evenly, or so that σ⅐, log σ (`exponential`, `log-snr`) or a beta distribution's share is. */
  readonly kind: SpacingKind;
  /** Added to each time of `leading`. */
  readonly offset: number;
  /** Whether the signal's share after the last step is 1 (no noise is left), or that of time 0. */
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
  name: z.enum([...NOISE_SAMPLERS, ...FLOW_SAMPLERS]),
  steps: z.int().min(1).max(1000),
  guidance: z.number().min(0),
  guidanceChannels: z.int().min(1).exactOptional(),
  predicts: z.enum(["epsilon", "v", "x0"]).exactOptional(),
  spacing: z.strictObject({
    kind: z.enum(SPACINGS),
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
