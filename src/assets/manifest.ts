/**
 * `model.json`: what a model that we ship says of itself.
 *
 * @module
 */

import { z } from "zod";
import { checkJson } from "./json.ts";

/** How a model is sampled unless the caller wants it otherwise. */
export interface SamplerDefaults {
  /** Name of the sampler: DDIM, or Euler's method on a flow. */
  readonly name: "ddim" | "flow-euler";
  /** Steps of a picture, 1 … 1000. */
  readonly steps: number;
  /** Guidance scale; 1 is none. */
  readonly guidance: number;
  /** Latent channels that are guided; absent is the original's first three. */
  readonly guidanceChannels?: number;
  /** Which steps DDIM visits; absent is the original's respacing of its linear betas. */
  readonly spacing?: DdimSpacing;
  /** How a flow's sigmas are shifted; absent is not at all. */
  readonly shift?: SigmaShift;
}

/** Diffusers' way to choose DDIM's steps out of the 1000 of training. *Source:* `DDIMScheduler`. */
export interface DdimSpacing {
  /** How times are spread. */
  readonly kind: "leading" | "trailing" | "linspace";
  /** Added to each time of `leading`. */
  readonly offset: number;
  /** Whether the signal's share behind the last step is 1, or that of time 0. */
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

/** A model's description of itself. */
export interface Manifest {
  /** Version of this format. */
  readonly format: 1;
  /** Short unique name, such as `fashion-dit`. */
  readonly id: string;
  /** Family of the model, such as `dit`; the model floor refuses those it does not know. */
  readonly architecture: string;
  /** The architecture's own configuration, not yet checked. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Name of each class, in label order. */
  readonly classNames: readonly string[];
  /** How it is sampled by default. */
  readonly sampler: SamplerDefaults;
  /** Licence of the weights. */
  readonly licence: string;
  /** What the model was trained on, and that work's licence. */
  readonly dataNotice: string;
  /** Lower-case hex sha256 of the stored bytes of each tensor. */
  readonly sha256: ReadonlyMap<string, string>;
  /** Precision of the matrices that were packed in integers; absent where all tensors are floats. */
  readonly weights?: "int8" | "int4";
  /** What plans bind to, as `fingerprint()` gives it; a packed copy carries its source's. */
  readonly fingerprint?: string;
}

const text = z.string().min(1).max(10_000);
const beta = z.number().positive().max(0.999);
const schema = z.strictObject({
  format: z.literal(1),
  id: z.string().regex(/^[a-z0-9][a-z0-9._-]{0,99}$/),
  architecture: z.string().min(1).max(100),
  config: z.record(z.string(), z.unknown()),
  classNames: z.array(text).max(100_000),
  sampler: z.strictObject({
    name: z.enum(["ddim", "flow-euler"]),
    steps: z.int().min(1).max(1000),
    guidance: z.number().min(0),
    guidanceChannels: z.int().min(1).optional(),
    spacing: z.strictObject({
      kind: z.enum(["leading", "trailing", "linspace"]),
      offset: z.int().min(0).max(1000),
      endsAtOne: z.boolean(),
      betas: z.strictObject({
        first: beta,
        last: beta,
        curve: z.enum(["linear", "scaled_linear"]),
      }),
    }).optional(),
    shift: z.discriminatedUnion("kind", [
      z.strictObject({ kind: z.literal("static"), shift: z.number().positive() }),
      z.strictObject({
        kind: z.literal("dynamic"),
        baseShift: z.number(),
        maxShift: z.number(),
        baseTokens: z.int().min(1),
        maxTokens: z.int().min(2),
      }),
    ]).optional(),
  }),
  licence: text,
  dataNotice: text,
  sha256: z.record(z.string(), z.string().regex(/^[0-9a-f]{64}$/)),
  weights: z.enum(["int8", "int4"]).optional(),
  fingerprint: z.string().regex(/^sha256:[0-9a-f]{64}$/).optional(),
});

/**
 * Makes a manifest of parsed JSON; keys that are not part of the format are refused.
 *
 * @throws {AssetError} Naming the first key at fault.
 */
export function parseManifest(json: unknown): Manifest {
  const { sampler, sha256, fingerprint, weights, ...rest } = checkJson(json, schema, "model.json");
  const { guidanceChannels, spacing, shift, ...sampling } = sampler;
  return {
    ...rest,
    sampler: {
      ...sampling,
      ...(guidanceChannels !== undefined && { guidanceChannels }),
      ...(spacing !== undefined && { spacing }),
      ...(shift !== undefined && { shift }),
    },
    sha256: new Map(Object.entries(sha256)),
    ...(weights !== undefined && { weights }),
    ...(fingerprint !== undefined && { fingerprint }),
  };
}
