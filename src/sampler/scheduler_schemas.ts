/**
 * The keys of `scheduler_config.json` that diffusers' schedulers have, with their defaults: what would change the
 * arithmetic in a way that we do not compute is refused.
 *
 * *Source:* the constructors of diffusers 0.42.
 */

import { z } from "npm:zod@4.6.7";

const beta = z.number().positive().max(0.999);
const off = z.literal(false).default(false);
const on = z.literal(true).default(true);
const unread = z.unknown().optional();
const common = {
  _class_name: unread, // known by then
  _diffusers_version: unread, // a note
  _name_or_path: unread, // a note
  _use_default_values: unread, // a note
  num_train_timesteps: z.literal(1000).default(1000),
};
const trained = {
  ...common,
  beta_start: beta.default(0.0001),
  beta_end: beta.default(0.02),
  beta_schedule: z.enum(["linear", "scaled_linear"]).default("linear"),
  trained_betas: z.null().default(null),
  steps_offset: z.int().min(0).max(1000).default(0),
  prediction_type: z.enum(["epsilon", "v_prediction", "sample"]).default("epsilon"),
  skip_prk_steps: unread, // left by another scheduler
  set_alpha_to_one: unread, // DDIM's
};
const unthresholded = {
  thresholding: off,
  dynamic_thresholding_ratio: unread, // read when samples are thresholded
  sample_max_value: unread,
};
export const ddimSchema = z.strictObject({
  ...trained,
  ...unthresholded,
  clip_sample: z.literal(false), // diffusers' default is true
  clip_sample_range: unread, // read when samples are clipped
  set_alpha_to_one: z.boolean().default(true),
  timestep_spacing: z.enum(["leading", "trailing", "linspace"]).default("leading"),
  rescale_betas_zero_snr: off,
});
const order = z.union([z.literal(2), z.literal(3)]).default(2);
const spaced = {
  timestep_spacing: z.enum(["leading", "trailing", "linspace"]).default("linspace"),
  use_karras_sigmas: z.boolean().default(false),
  use_exponential_sigmas: z.boolean().default(false),
  use_beta_sigmas: z.boolean().default(false),
};
/** What the multistep schedulers share; a flow's fields are unread where noise is predicted, and the other way. */
const multistep = {
  ...trained,
  ...unthresholded,
  ...spaced,
  solver_order: order,
  lower_order_final: on,
  rescale_betas_zero_snr: off,
  use_flow_sigmas: off,
  flow_shift: unread,
  use_dynamic_shifting: unread,
  time_shift_type: unread,
  final_sigmas_type: z.enum(["zero", "sigma_min"]).default("zero"),
  sigma_min: z.null().default(null),
  sigma_max: z.null().default(null),
};
const dpmOnly = {
  algorithm_type: z.literal("dpmsolver++").default("dpmsolver++"),
  solver_type: z.literal("midpoint").default("midpoint"),
  euler_at_final: off,
  use_lu_lambdas: z.boolean().default(false),
  lambda_min_clipped: z.literal(-Infinity).default(-Infinity),
  variance_type: z.null().default(null), // ours drops a learned variance by itself
};
const unipcOnly = {
  solver_type: z.enum(["bh1", "bh2"]).default("bh2"),
  predict_x0: on,
  disable_corrector: z.tuple([]).default([]),
  solver_p: z.null().default(null),
  shift_terminal: z.null().default(null),
};
export const dpmSchema = z.strictObject({ ...multistep, ...dpmOnly });
export const unipcSchema = z.strictObject({ ...multistep, ...unipcOnly });
export const deisSchema = z.strictObject({
  ...multistep,
  algorithm_type: z.literal("deis").default("deis"),
  solver_type: z.literal("logrho").default("logrho"),
});
export const heunSchema = z.strictObject({
  ...trained,
  ...spaced,
  beta_start: beta.default(0.00085),
  beta_end: beta.default(0.012),
  clip_sample: off,
  clip_sample_range: unread, // read when samples are clipped
});

const shifts = {
  base_shift: z.number().default(0.5),
  max_shift: z.number().default(1.15),
  base_image_seq_len: z.int().min(1).default(256),
  max_image_seq_len: z.int().min(2).default(4096),
  use_dynamic_shifting: z.boolean().default(false),
  time_shift_type: z.literal("exponential").default("exponential"),
};
export const flowEulerSchema = z.strictObject({
  ...common,
  ...shifts,
  shift: z.number().positive().default(1),
  shift_terminal: z.null().default(null),
  invert_sigmas: off,
  use_karras_sigmas: off,
  use_exponential_sigmas: off,
  use_beta_sigmas: off,
  stochastic_sampling: off,
});
export const flowHeunSchema = z.strictObject({
  ...common,
  shift: z.number().positive().default(1),
});
/** The multistep schedulers on a flow. */
const flowing = {
  ...multistep,
  ...shifts,
  use_flow_sigmas: z.literal(true), // diffusers' default is false
  flow_shift: z.number().positive().default(1),
  prediction_type: z.literal("flow_prediction"), // diffusers' default is another
  use_karras_sigmas: off,
  use_exponential_sigmas: off,
  use_beta_sigmas: off,
  final_sigmas_type: z.literal("zero").default("zero"),
  timestep_spacing: unread, // sigmas are spread instead
};
export const flowDpmSchema = z.strictObject({ ...flowing, ...dpmOnly, use_lu_lambdas: off });
export const flowUnipcSchema = z.strictObject({
  ...flowing,
  ...unipcOnly,
  solver_type: z.literal("bh2").default("bh2"),
});
