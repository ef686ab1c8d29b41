/**
 * `model.json`: what a model that we ship says of itself.
 */

import { z } from "npm:zod@4.6.7";
import { checkJson } from "./json.ts";

/** Prompts for a model that takes any: shown to people, and drawn when they give none. */
export interface PromptExamples {
  /** How a prompt of attributes begins, such as `a person with`. */
  readonly subject: string;
  /** Whole prompts, the best to begin with first. */
  readonly examples: readonly string[];
  /** Phrases that the model knows, by what they are about, such as `hair`: a prompt has one of each at most. */
  readonly attributes: Readonly<Record<string, readonly string[]>>;
}

/** A model's description of itself. */
export interface Manifest {
  readonly format: 1;
  /** Short unique name, such as `fashion-dit`. */
  readonly id: string;
  /** Family of the model, such as `dit`; the model floor refuses those it does not know. */
  readonly architecture: string;
  /** The architecture's own configuration, not yet checked. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Name of each class, in label order. */
  readonly classNames: readonly string[];
  /** How it is sampled by default, not yet checked. */
  readonly sampler: unknown;
  readonly licence: string;
  /** What the model was trained on, and that work's licence. */
  readonly dataNotice: string;
  /** Lower-case hex sha256 of the stored bytes of each tensor; before a name in another part's file is its folder, as `vae/`. */
  readonly sha256: ReadonlyMap<string, string>;
  /** Precision of the matrices that were packed in integers; absent where all tensors are floats. */
  readonly weights?: "int8" | "int4";
  /**
   * How packed layers compute unless a run asks otherwise: `f32` expands them as they are loaded, on every backend
   * to the same numbers; absent = in integers, where the backend has a kernel.
   */
  readonly arithmetic?: "f32";
  /** What plans bind to, as `fingerprint()` gives it; a packed copy carries its source's. */
  readonly fingerprint?: string;
  /** What it knows to draw; absent where it takes no prompts. */
  readonly prompts?: PromptExamples;
}

const text = z.string().min(1).max(10_000);
const phrases = z.array(text).min(1).max(1000);
const schema = z.strictObject({
  format: z.literal(1),
  id: z.string().regex(/^[a-z0-9][a-z0-9._-]{0,99}$/),
  architecture: z.string().min(1).max(100),
  config: z.record(z.string(), z.unknown()),
  classNames: z.array(text).max(100_000),
  sampler: z.unknown(),
  licence: text,
  dataNotice: text,
  sha256: z.record(z.string(), z.string().regex(/^[0-9a-f]{64}$/)),
  weights: z.enum(["int8", "int4"]).optional(),
  arithmetic: z.literal("f32").optional(),
  fingerprint: z.string().regex(/^sha256:[0-9a-f]{64}$/).optional(),
  prompts: z.strictObject({
    subject: text,
    examples: phrases,
    attributes: z.record(text, phrases),
  }).optional(),
});

/**
 * Makes a manifest of parsed JSON; keys that are not part of the format are refused.
 *
 * @throws {AssetError} Naming the first key at fault.
 */
export function parseManifest(json: unknown): Manifest {
  const { sha256, fingerprint, weights, arithmetic, prompts, ...rest } = checkJson(
    json,
    schema,
    "model.json",
  );
  return {
    ...rest,
    sha256: new Map(Object.entries(sha256)),
    ...(weights !== undefined && { weights }),
    ...(arithmetic !== undefined && { arithmetic }),
    ...(fingerprint !== undefined && { fingerprint }),
    ...(prompts !== undefined && { prompts }),
  };
}
