/**
 * Diffusers' `scheduler_config.json`, by the class that it names.
 */

import { z } from "npm:zod@4.6.7";
import { checkJson } from "../assets/json.ts";
import { AssetError } from "../errors.ts";
import type { SamplerConfig, SigmaShift } from "./config.ts";

/** One of diffusers' schedulers. */
interface Scheduler {
  /** What the model that it is made for predicts. */
  readonly predicts: "noise" | "velocity";
  /** Refuses every key that requests something we do not compute. */
  readonly read: (json: unknown) => SamplerConfig;
}

const FILE = "scheduler_config.json";
const beta = z.number().positive().max(0.999);
const off = z.literal(false).default(false);
const unread = z.unknown().optional();
const common = {
  _class_name: unread, // known by then
  _diffusers_version: unread, // a note
  _name_or_path: unread, // a note
  num_train_timesteps: z.literal(1000).default(1000),
};
const ddim = z.strictObject({
  ...common,
  beta_start: beta.default(0.0001),
  beta_end: beta.default(0.02),
  beta_schedule: z.enum(["linear", "scaled_linear"]).default("linear"),
  trained_betas: z.null().default(null),
  clip_sample: z.literal(false), // diffusers' default is true
  clip_sample_range: unread, // read when samples are clipped
  set_alpha_to_one: z.boolean().default(true),
  steps_offset: z.int().min(0).max(1000).default(0),
  prediction_type: z.literal("epsilon").default("epsilon"),
  thresholding: off,
  dynamic_thresholding_ratio: unread, // read when samples are thresholded
  sample_max_value: unread,
  timestep_spacing: z.enum(["leading", "trailing", "linspace"]).default("leading"),
  rescale_betas_zero_snr: off,
  skip_prk_steps: unread, // left by another scheduler
});
const flowEuler = z.strictObject({
  ...common,
  shift: z.number().positive().default(1),
  use_dynamic_shifting: z.boolean().default(false),
  base_shift: z.number().default(0.5),
  max_shift: z.number().default(1.15),
  base_image_seq_len: z.int().min(1).default(256),
  max_image_seq_len: z.int().min(2).default(4096),
  time_shift_type: z.literal("exponential").default("exponential"),
  shift_terminal: z.null().default(null),
  invert_sigmas: off,
  use_karras_sigmas: off,
  use_exponential_sigmas: off,
  use_beta_sigmas: off,
  stochastic_sampling: off,
});

/** Diffusers' schedulers that we compute, by `_class_name`. */
const SCHEDULERS: ReadonlyMap<string, Scheduler> = new Map([
  ["DDIMScheduler", {
    predicts: "noise",
    read: (json) => {
      const c = checkJson(json, ddim, FILE);
      return {
        name: "ddim",
        spacing: {
          kind: c.timestep_spacing,
          offset: c.steps_offset,
          endsAtOne: c.set_alpha_to_one,
          betas: { first: c.beta_start, last: c.beta_end, curve: c.beta_schedule },
        },
      };
    },
  }],
  ["FlowMatchEulerDiscreteScheduler", {
    predicts: "velocity",
    read: (json) => ({ name: "flow-euler", shift: shiftOf(checkJson(json, flowEuler, FILE)) }),
  }],
]);

function shiftOf(c: z.infer<typeof flowEuler>): SigmaShift {
  if (!c.use_dynamic_shifting) return { kind: "static", shift: c.shift };
  return {
    kind: "dynamic",
    baseShift: c.base_shift,
    maxShift: c.max_shift,
    baseTokens: c.base_image_seq_len,
    maxTokens: c.max_image_seq_len,
  };
}

const named = z.looseObject({ _class_name: z.string().regex(/^\w{1,100}$/) });

/**
 * Reads a diffusers scheduler.
 *
 * @param predicts What the model predicts.
 * @throws {AssetError} When it is none for such a model, or asks for what we do not compute.
 */
export function parseScheduler(json: unknown, predicts: Scheduler["predicts"]): SamplerConfig {
  const { _class_name: name } = checkJson(json, named, FILE);
  const scheduler = SCHEDULERS.get(name);
  if (scheduler?.predicts === predicts) return scheduler.read(json);
  const supported = [...SCHEDULERS].filter(([, known]) => known.predicts === predicts);
  throw new AssetError(
    `Cannot read ${FILE}: ${name} is not supported for a model that predicts ${predicts}; supported are ` +
      `${supported.map(([known]) => known).join(", ")} (sampler "original" needs none)`,
  );
}
