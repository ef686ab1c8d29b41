import { assertAlmostEquals } from "@std/assert";
import { ddim } from "../../src/sampler/ddim.ts";
import { linearSchedule } from "../../src/sampler/noise_schedule.ts";
import { normalNoise } from "../../src/tensor/random.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { stepsOf } from "./sampler_steps.ts";

const DIMS = [2, 1, 4, 4];

Deno.test("ddim() follows the formula of DDIM with η = 0 in every step", async () => {
  const schedule = linearSchedule(10);
  const epsilonOf = (index: number): Tensor => normalNoise(DIMS, 100 + index);
  const noise = normalNoise(DIMS, 1);
  const steps = await stepsOf(
    ddim(schedule),
    noise,
    (_, { index }) => Promise.resolve(epsilonOf(index)),
  );
  let latent = noise;
  for (const [i, step] of steps.entries()) {
    const [share, next] = [schedule.alphaBars[i]!, schedule.alphaBarsNext[i]!];
    const epsilon = epsilonOf(i).data;
    step.state.latent.data.forEach((value, j) => {
      const start = (latent.data[j]! - Math.sqrt(1 - share) * epsilon[j]!) / Math.sqrt(share);
      const wanted = Math.sqrt(next) * start + Math.sqrt(1 - next) * epsilon[j]!;
      // Four float32 roundings, each of at most half a unit (2⁻²⁴) of the largest terms.
      const largest = (Math.abs(latent.data[j]!) + Math.abs(epsilon[j]!)) / Math.sqrt(share);
      assertAlmostEquals(value, wanted, 4 * 2 ** -24 * largest);
    });
    latent = step.state.latent; // a step's error does not reach the next comparison
  }
});

Deno.test("ddim() finds the picture when every predicted noise is the true one", async () => {
  const schedule = linearSchedule(20);
  const [picture, noise] = [normalNoise(DIMS, 2).data, normalNoise(DIMS, 3).data];
  const mix = (share: number): Float32Array =>
    noise.map((value, i) => Math.sqrt(share) * picture[i]! + Math.sqrt(1 - share) * value);
  const start = { dims: DIMS, data: mix(schedule.alphaBars[0]!) };
  const steps = await stepsOf(
    ddim(schedule),
    start,
    () => Promise.resolve({ dims: DIMS, data: noise }),
  );
  // The first step divides float32 numbers around 3 by √ᾱ = 1/157: 157 · 3 · 6e-8 = 3e-5.
  steps.at(-1)!.state.latent.data.forEach((value, i) =>
    assertAlmostEquals(value, picture[i]!, 5e-5)
  );
});
