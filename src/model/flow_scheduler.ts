/**
 * `scheduler_config.json` of a flow-matching model: how its sigmas are shifted.
 *
 * @module
 */

import { z } from "zod";
import { checkJson } from "../assets/json.ts";
import type { SigmaShift } from "../assets/manifest.ts";

const off = z.literal(false).default(false);
const unread = z.unknown().optional();
const schema = z.strictObject({
  _class_name: z.literal("FlowMatchEulerDiscreteScheduler"),
  _diffusers_version: unread, // a note
  _name_or_path: unread, // a note
  num_train_timesteps: z.literal(1000).default(1000),
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

/**
 * Reads the shift of diffusers' `FlowMatchEulerDiscreteScheduler`.
 *
 * @throws {AssetError} When it is another scheduler, or asks for what we do not compute.
 */
export function parseFlowScheduler(json: unknown): SigmaShift {
  const c = checkJson(json, schema, "scheduler_config.json");
  if (!c.use_dynamic_shifting) return { kind: "static", shift: c.shift };
  return {
    kind: "dynamic",
    baseShift: c.base_shift,
    maxShift: c.max_shift,
    baseTokens: c.base_image_seq_len,
    maxTokens: c.max_image_seq_len,
  };
}
