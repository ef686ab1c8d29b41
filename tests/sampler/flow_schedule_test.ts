import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import type { SigmaShift } from "../../src/sampler/config.ts";
import { openSafetensors } from "../../src/assets/formats/safetensors.ts";
import { openDirectory } from "../../src/assets/source.ts";
import {
  evenSigmas,
  flowSchedule,
  shiftExponent,
  shiftFactor,
} from "../../src/sampler/flow_schedule.ts";
import { parseScheduler } from "../../src/sampler/scheduler_config.ts";

const FLUX_A = new URL("../golden/flux-a/", import.meta.url);
const NO_SHIFT: SigmaShift = { kind: "static", shift: 1 };

async function publishedShift(): Promise<Extract<SigmaShift, { kind: "dynamic" }>> {
  const json = JSON.parse(await Deno.readTextFile(new URL("scheduler_config.json", FLUX_A)));
  const { shift } = parseScheduler(json, "velocity");
  if (shift?.kind === "dynamic") return shift;
  throw new Error("the golden scheduler shifts dynamically");
}

Deno.test("flowSchedule() has the sigmas and times of diffusers' dynamic shift", async () => {
  const facts = JSON.parse(await Deno.readTextFile(new URL("golden.json", FLUX_A)));
  const shift = await publishedShift();
  const tokens = facts.grid[0] * facts.grid[1];
  assertAlmostEquals(shiftExponent(shift, tokens), facts.mu, 1e-12);
  const source = openDirectory(FLUX_A);
  const file = await openSafetensors(source, "golden.safetensors");
  const { data: sigmas } = await file.readFloat32("sigmas");
  const { data: timesteps } = await file.readFloat32("timesteps");
  await source.close();
  const schedule = flowSchedule(evenSigmas(facts.steps), { shift, tokens });
  assertEquals(schedule.sigmas.length, sigmas.length);
  schedule.sigmas.forEach((sigma, i) => assertAlmostEquals(sigma, sigmas[i]!, 1e-6));
  schedule.times.forEach((time, i) => assertAlmostEquals(time, timesteps[i]! / 1000, 1e-6));
});

Deno.test("flowSchedule() shifts by s·σ / (1 + (s − 1)·σ) where the shift is static", () => {
  const { sigmas } = flowSchedule(evenSigmas(4), {
    shift: { kind: "static", shift: 3 },
    tokens: 1,
  });
  const wanted = [1, 0.9, 0.75, 0.5, 0]; // 3·σ / (1 + 2·σ) of 1, 3/4, 1/2, 1/4
  sigmas.forEach((sigma, i) => assertAlmostEquals(sigma, wanted[i]!, 1e-6));
});

Deno.test("flowSchedule() shifts larger pictures more, by the published exponents at both ends", async () => {
  const shift = await publishedShift();
  assertAlmostEquals(shiftExponent(shift, 256), 0.5, 1e-12);
  assertAlmostEquals(shiftExponent(shift, 4096), 1.15, 1e-12);
  const middle = (tokens: number): number => flowSchedule([0.5], { shift, tokens }).sigmas[0]!;
  assertAlmostEquals(middle(4096), Math.exp(1.15) / (Math.exp(1.15) + 1), 1e-6);
  assertEquals(middle(4096) > middle(256), true);
});

Deno.test("flowSchedule() takes sigmas as given and refuses those that do not fall within 0 … 1", () => {
  assertEquals(flowSchedule([1, 0.5], { shift: NO_SHIFT, tokens: 1 }).sigmas, [1, 0.5, 0]);
  for (const sigmas of [[], [1.5], [0], [0.5, 0.5], [0.2, 0.4], [NaN]]) {
    assertThrows(
      () => flowSchedule(sigmas, { shift: NO_SHIFT, tokens: 1 }),
      RangeError,
      "sigmas must fall from at most 1 to above 0",
    );
  }
});

Deno.test("evenSigmas() are evenly spaced from 1 to 1/steps and refuse steps outside of 1 … 1000", () => {
  assertEquals(evenSigmas(1), [1]);
  assertEquals(evenSigmas(4), [1, 0.75, 0.5, 0.25]);
  for (const steps of [0, 1001, 2.5]) {
    assertThrows(() => evenSigmas(steps), RangeError, "steps must be an integer in 1 … 1000");
  }
});

Deno.test("shiftFactor() tells by how much any shift moves sigmas", async () => {
  const shifts: readonly SigmaShift[] = [
    NO_SHIFT,
    { kind: "static", shift: 3 },
    await publishedShift(),
  ];
  for (const shift of shifts) {
    const factor = shiftFactor(shift, 1024);
    const { sigmas } = flowSchedule([1, 0.7, 0.2], { shift, tokens: 1024 });
    [1, 0.7, 0.2].forEach((sigma, i) => {
      const moved = factor * sigma / (1 + (factor - 1) * sigma);
      assertAlmostEquals(sigmas[i]!, moved, 1e-6); // float32 there
    });
  }
  assertEquals(shiftFactor(undefined, 1024), 1);
});
