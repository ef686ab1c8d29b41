import { assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { ddim, type Denoise, type SamplerStep, type StepPosition } from "../../src/sampler/ddim.ts";
import { linearSchedule, type NoiseSchedule } from "../../src/sampler/noise_schedule.ts";
import { normalNoise } from "../../src/tensor/random.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

const DIMS = [2, 1, 4, 4];

async function collect(
  schedule: NoiseSchedule,
  noise: Tensor,
  denoise: Denoise,
): Promise<SamplerStep[]> {
  const steps: SamplerStep[] = [];
  for await (const step of ddim(schedule, noise, denoise)) steps.push(step);
  return steps;
}

Deno.test("ddim() follows the formula of DDIM with η = 0 in every step", async () => {
  const schedule = linearSchedule(10);
  const epsilonOf = (index: number): Tensor => normalNoise(DIMS, 100 + index);
  const noise = normalNoise(DIMS, 1);
  const steps = await collect(schedule, noise, (_, { index }) => Promise.resolve(epsilonOf(index)));
  let latent = noise;
  for (const [i, step] of steps.entries()) {
    const [share, next] = [schedule.alphaBars[i]!, schedule.alphaBarsNext[i]!];
    const epsilon = epsilonOf(i).data;
    step.latent.data.forEach((value, j) => {
      const start = (latent.data[j]! - Math.sqrt(1 - share) * epsilon[j]!) / Math.sqrt(share);
      const wanted = Math.sqrt(next) * start + Math.sqrt(1 - next) * epsilon[j]!;
      // Four float32 roundings, each of at most half a unit (2⁻²⁴) of the largest terms.
      const largest = (Math.abs(latent.data[j]!) + Math.abs(epsilon[j]!)) / Math.sqrt(share);
      assertAlmostEquals(value, wanted, 4 * 2 ** -24 * largest);
    });
    latent = step.latent; // a step's error does not reach the next comparison
  }
});

Deno.test("ddim() finds the picture when every predicted noise is the true one", async () => {
  const schedule = linearSchedule(20);
  const [picture, noise] = [normalNoise(DIMS, 2).data, normalNoise(DIMS, 3).data];
  const mix = (share: number): Float32Array =>
    noise.map((value, i) => Math.sqrt(share) * picture[i]! + Math.sqrt(1 - share) * value);
  const start = { dims: DIMS, data: mix(schedule.alphaBars[0]!) };
  const steps = await collect(schedule, start, () => Promise.resolve({ dims: DIMS, data: noise }));
  // The first step divides float32 numbers around 3 by √ᾱ = 1/157: 157 · 3 · 6e-8 = 3e-5.
  steps.at(-1)!.latent.data.forEach((value, i) => assertAlmostEquals(value, picture[i]!, 5e-5));
});

Deno.test("ddim() tells the model its position and yields as many steps as there are times", async () => {
  const schedule = linearSchedule(4);
  const positions: StepPosition[] = [];
  const steps = await collect(schedule, normalNoise(DIMS, 1), (latent, position) => {
    positions.push(position);
    return Promise.resolve(latent);
  });
  assertEquals(positions, [999, 666, 333, 0].map((time, index) => ({ index, time })));
  assertEquals(steps.map(({ index, time }) => ({ index, time })), positions);
});

Deno.test("ddim() gives each step the latent of the one before and writes to none again", async () => {
  const given: Float32Array[] = [];
  const noise = normalNoise(DIMS, 1);
  const before = noise.data.slice();
  const steps = await collect(linearSchedule(3), noise, (latent, { index }) => {
    given.push(latent.data.slice());
    return Promise.resolve(normalNoise(DIMS, index));
  });
  assertEquals(given, [before, ...steps.slice(0, 2).map(({ latent }) => latent.data)]);
  assertEquals(noise.data, before);
});

Deno.test("ddim() asks for no prediction that nobody waits for", async () => {
  let calls = 0;
  const loop = ddim(linearSchedule(5), normalNoise(DIMS, 1), (latent) => {
    calls++;
    return Promise.resolve(latent);
  });
  assertEquals(calls, 0);
  await loop.next();
  assertEquals(calls, 1);
  await loop.return();
  assertEquals((await loop.next()).done, true);
  assertEquals(calls, 1);
});

Deno.test("ddim() lets the error of a prediction rise", async () => {
  const loop = ddim(linearSchedule(5), normalNoise(DIMS, 1), () => {
    return Promise.reject(new RangeError("no prediction"));
  });
  await assertRejects(() => loop.next(), RangeError, "no prediction");
});
