import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { openSafetensors } from "../../src/assets/formats/safetensors.ts";
import { openDirectory } from "../../src/assets/source.ts";
import { linearSchedule } from "../../src/sampler/noise_schedule.ts";

for (const model of ["dit-a", "fashion-dit"]) {
  Deno.test(`linearSchedule() visits the timesteps that the original visited for ${model}`, async () => {
    const source = openDirectory(new URL(`../golden/${model}/`, import.meta.url));
    const golden = await openSafetensors(source, "golden.safetensors");
    const times = await golden.readIntegers("timesteps");
    assertEquals(linearSchedule(times.length).times, times);
    await source.close();
  });
}

Deno.test("linearSchedule() visits 0 alone, both ends, or every timestep", () => {
  assertEquals(linearSchedule(1).times, [0]);
  assertEquals(linearSchedule(2).times, [999, 0]);
  assertEquals(linearSchedule(1000).times, Array.from({ length: 1000 }, (_, i) => 999 - i));
});

Deno.test("linearSchedule() rounds halves to even, as Python does", () => {
  assertEquals(linearSchedule(3).times, [999, 500, 0]); // 499.5
});

Deno.test("linearSchedule() visits what Python's space_timesteps visits, for every number of steps", async () => {
  const all = Array.from({ length: 1000 }, (_, i) => linearSchedule(i + 1).times.join());
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(all.join()));
  assertEquals(
    new Uint8Array(digest).toHex(), // *Source:* DiT `respace.py` in Python
    "557640bb3426922b75bcc2e47c22a2f8bc43a9787603ed8de24e4bf2503fa2f0",
  );
});

/** ᾱ at each step, noisiest first. *Source:* DiT `gaussian_diffusion.py`, `respace.py` in NumPy, float64. */
const ALPHA_BARS: readonly (readonly number[])[] = [
  [0.9999],
  [4.035829765376744e-5, 0.9999],
  [4.0358297653756774e-5, 0.010984230178593664, 0.3186248549664457, 0.9999],
  [
    4.0358297653756794e-5,
    0.0008891105083393641,
    0.010984230178593664,
    0.07779665836502388,
    0.31862485496644566,
    0.7459145107346825,
    0.9999,
  ],
];

Deno.test("linearSchedule() has the signal shares of the original's respaced betas", () => {
  for (const wanted of ALPHA_BARS) {
    const { alphaBars, alphaBarsNext } = linearSchedule(wanted.length);
    wanted.forEach((share, i) => {
      const tolerance = 1e-11 * share; // 1 − β loses up to 2⁻⁵³ / ᾱ in each of a thousand products
      assertAlmostEquals(alphaBars[i]!, share, tolerance);
    });
    assertEquals(alphaBarsNext, [...alphaBars.slice(1), 1]);
  }
});

Deno.test("linearSchedule() gains signal with every step", () => {
  const { alphaBars } = linearSchedule(1000);
  assertEquals(alphaBars.every((share, i) => share > (alphaBars[i - 1] ?? 0) && share < 1), true);
});

Deno.test("linearSchedule() refuses steps that are not integers in 1 … 1000", () => {
  for (const steps of [0, -1, 1001, 2.5, NaN]) {
    const message = `steps must be an integer in 1 … 1000: current value is ${steps}`;
    assertThrows(() => linearSchedule(steps), RangeError, message);
  }
});
