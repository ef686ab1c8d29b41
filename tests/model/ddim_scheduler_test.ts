import { assertEquals, assertThrows } from "@std/assert";
import { AssetError } from "../../src/errors.ts";
import { parseDdimScheduler } from "../../src/model/ddim_scheduler.ts";

const GIVEN = { _class_name: "DDIMScheduler", clip_sample: false };

Deno.test("parseDdimScheduler() reads a spacing, and has diffusers' defaults", () => {
  const betas = { first: 0.0001, last: 0.02, curve: "linear" } as const;
  assertEquals(parseDdimScheduler(GIVEN), { kind: "leading", offset: 0, endsAtOne: true, betas });
  const other = { timestep_spacing: "trailing", steps_offset: 1, set_alpha_to_one: false };
  assertEquals(parseDdimScheduler({ ...GIVEN, ...other, beta_schedule: "scaled_linear" }), {
    kind: "trailing",
    offset: 1,
    endsAtOne: false,
    betas: { ...betas, curve: "scaled_linear" },
  });
});

const REFUSED: readonly (readonly [string, unknown, string])[] = [
  ["clip_sample", true, "clip_sample must be false: current value is true"],
  ["clip_sample", undefined, "clip_sample must be false: current value is absent"],
  ["prediction_type", "v_prediction", 'prediction_type must be "epsilon"'],
  ["beta_schedule", "squaredcos_cap_v2", 'beta_schedule must be "linear" or "scaled_linear"'],
  ["trained_betas", [0.1], "trained_betas must be of type null"],
  ["thresholding", true, "thresholding must be false"],
  ["rescale_betas_zero_snr", true, "rescale_betas_zero_snr must be false"],
  ["num_train_timesteps", 500, "num_train_timesteps must be 1000: current value is 500"],
  ["_class_name", "PNDMScheduler", '_class_name must be "DDIMScheduler"'],
  ["noise_offset", 1, 'it must not have the key "noise_offset"'],
];

for (const [key, value, message] of REFUSED) {
  Deno.test(`parseDdimScheduler() refuses ${key} ${JSON.stringify(value)}`, () => {
    assertThrows(() => parseDdimScheduler({ ...GIVEN, [key]: value }), AssetError, message);
  });
}
