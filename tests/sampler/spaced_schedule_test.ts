import { assert, assertEquals, assertThrows } from "@std/assert";
import type { NoiseSpacing } from "../../src/sampler/config.ts";
import { spacedSchedule } from "../../src/sampler/spaced_schedule.ts";

const LEADING: NoiseSpacing = {
  kind: "leading",
  offset: 0,
  endsAtOne: true,
  betas: { first: 0.0001, last: 0.02, curve: "linear" },
};

Deno.test("times are spread as by diffusers' set_timesteps()", () => {
  assertEquals(spacedSchedule(4, LEADING).times, [750, 500, 250, 0]);
  assertEquals(spacedSchedule(3, { ...LEADING, offset: 1 }).times, [667, 334, 1]);
  assertEquals(spacedSchedule(3, { ...LEADING, kind: "trailing" }).times, [999, 666, 332]);
  assertEquals(spacedSchedule(5, { ...LEADING, kind: "linspace" }).times, [999, 749, 500, 250, 0]);
  assertEquals(spacedSchedule(1, { ...LEADING, kind: "linspace" }).times, [0]);
});

Deno.test("the signal's share is that of training, and behind each step that of a stride before", () => {
  const { times, alphaBars, alphaBarsNext } = spacedSchedule(4, LEADING);
  const all = spacedSchedule(1000, LEADING).alphaBars.toReversed(); // by time
  assertEquals(alphaBars, times.map((time) => all[time]!));
  assertEquals(alphaBarsNext, [all[500]!, all[250]!, all[0]!, 1]);
  const ended = spacedSchedule(4, { ...LEADING, endsAtOne: false });
  assertEquals(ended.alphaBarsNext.at(-1), all[0]);
  // The last share of DiT's linear betas and of Stable Diffusion's scaled ones.
  assert(Math.abs(all[999]! / 4.0358e-5 - 1) < 1e-4);
  const betas = { first: 0.00085, last: 0.012, curve: "scaled_linear" } as const;
  const scaled = spacedSchedule(1000, { ...LEADING, betas }).alphaBars[0]!; // noisiest first
  assert(Math.abs(scaled / 0.0046599 - 1) < 1e-4);
});

Deno.test("steps that are none, too many, or pushed beyond the last time are refused", () => {
  for (const steps of [0, 1001, 2.5]) {
    assertThrows(() => spacedSchedule(steps, LEADING), RangeError, "steps must be an integer");
  }
  assertThrows(
    () => spacedSchedule(1000, { ...LEADING, offset: 1 }),
    RangeError,
    "the first time must be below 1000 (fewer steps, or no offset): current value is 1000",
  );
});
