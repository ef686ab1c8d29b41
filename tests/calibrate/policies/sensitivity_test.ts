import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import {
  measureSensitivity,
  senCacheReuse,
  type SenCacheSettings,
  type SteppedRuns,
} from "../../../src/calibrate/policies/sensitivity.ts";
import type { Sensitivity } from "../../../src/engine/policies/sencache.ts";
import { makeSampler } from "../../../src/sampler/solvers.ts";

const SAMPLER = makeSampler({ name: "flow-euler" }, { steps: 10, tokens: 4 });
const NOISE = Float32Array.of(1, -2, 3, 0.5);

/** A model of one number, and how often it was called. */
function runsOf(
  model: (x: number, time: number) => number,
): SteppedRuns & { readonly calls: readonly number[] } {
  const calls: number[] = [];
  return {
    calls,
    noise: NOISE,
    predict: (latents: Float32Array, time: number) => {
      calls.push(time);
      return Promise.resolve(latents.map((x) => model(x, time)));
    },
  };
}

Deno.test("measureSensitivity() finds how much a linear model changes with latent and time", async () => {
  const runs = runsOf((x, time) => 0.7 * x - 3 * time);
  const { latent, time } = await measureSensitivity(SAMPLER, runs);
  assertEquals([latent.length, time.length, time.at(-1)], [10, 10, 0]); // after the last there is no time
  for (const value of latent) assertAlmostEquals(value, 0.7, 1e-5);
  for (const value of time.slice(0, -1)) assertAlmostEquals(value, 3, 1e-5);
  assertEquals(runs.calls.length, 29);
});

Deno.test("measureSensitivity() says 0 where the latent does not move", async () => {
  const { latent } = await measureSensitivity(SAMPLER, runsOf(() => 0));
  assertEquals(latent, Array.from({ length: 10 }, () => 0));
});

Deno.test("senCacheReuse() reuses while what is foretold is below the threshold, the stricter one at first", async () => {
  const sensitivity: Sensitivity = {
    at: SAMPLER.times,
    latent: Array.from({ length: 10 }, () => 0),
    time: Array.from({ length: 10 }, () => 1), // 0.1 a step
  };
  const reuse = async (settings: Partial<SenCacheSettings>): Promise<string> => {
    const runs = runsOf((x) => x);
    const given = { threshold: 0.25, start: 0, longest: 9, ...settings };
    const reused = await senCacheReuse(SAMPLER, runs, { sensitivity, settings: given });
    assertEquals(runs.calls.length, reused.filter((each) => !each).length); // what is reused is not computed
    return reused.map((each) => each ? "r" : ".").join("");
  };
  assertEquals(await reuse({}), "..rr.rr.rr"); // the first two are strict
  assertEquals(await reuse({ start: 0.15 }), ".rr.rr.rr.");
  assertEquals(await reuse({ longest: 1 }), "..r.r.r.r.");
  assertEquals(await reuse({ longest: 0 }), "..........");
  assertEquals(await reuse({ threshold: 0 }), "..........");
  assertEquals(await reuse({ threshold: 9 }), "..rrrrrrrr");
});

Deno.test("senCacheReuse() counts how far the latent has moved since the last computed step", async () => {
  const sensitivity: Sensitivity = {
    at: SAMPLER.times,
    latent: Array.from({ length: 10 }, () => 1),
    time: Array.from({ length: 10 }, () => 0),
  };
  // The output is 1 everywhere, so a step moves each number by its length, 0.1.
  const settings = { threshold: 0.35, start: 0.35, longest: 9 };
  const reused = await senCacheReuse(SAMPLER, runsOf(() => 1), { sensitivity, settings });
  assertEquals(reused.map((each) => each ? "r" : ".").join(""), ".rrr.rrr.r");
  assert(reused[0] === false);
});
