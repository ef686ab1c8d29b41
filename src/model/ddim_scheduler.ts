/**
 * `scheduler_config.json` of a DDIM model: which steps it visits.
 *
 * @module
 */

import { z } from "zod";
import { checkJson } from "../assets/json.ts";
import type { DdimSpacing } from "../assets/manifest.ts";

const off = z.literal(false).default(false);
const unread = z.unknown().optional();
const schema = z.strictObject({
  _class_name: z.literal("DDIMScheduler"),
  _diffusers_version: unread, // a note
  _name_or_path: unread, // a note
  num_train_timesteps: z.literal(1000).default(1000),
  beta_start: z.number().positive().max(0.999).default(0.0001),
  beta_end: z.number().positive().max(0.999).default(0.02),
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

/**
 * Reads the steps of diffusers' `DDIMScheduler`.
 *
 * @throws {AssetError} When it is another scheduler, or asks for what we do not compute.
 */
export function parseDdimScheduler(json: unknown): DdimSpacing {
  const c = checkJson(json, schema, "scheduler_config.json");
  return {
    kind: c.timestep_spacing,
    offset: c.steps_offset,
    endsAtOne: c.set_alpha_to_one,
    betas: { first: c.beta_start, last: c.beta_end, curve: c.beta_schedule },
  };
}
