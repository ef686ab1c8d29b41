import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { adamsFlow } from "../../src/sampler/adams.ts";
import { flowEuler } from "../../src/sampler/flow_euler.ts";
import { evenSigmas, flowSchedule } from "../../src/sampler/flow_schedule.ts";
import { type Denoise, type Sampler, sampleSteps, startOf } from "../../src/sampler/sampler.ts";
import { normalNoise } from "../../src/tensor/random.ts";
import { stepsOf } from "./sampler_steps.ts";

const NOISE = normalNoise([1, 1, 4, 4], 1);
const schedule = (steps: number) =>
  flowSchedule(evenSigmas(steps), { shift: { kind: "static", shift: 1.6 }, tokens: 16 });

/** dx/dσ = cos σ − x/2, a smooth field. */
const field: Denoise = ({ dims, data }, { time }) =>
  Promise.resolve({ dims, data: data.map((x) => Math.cos(time) - x / 2) });

async function end(sampler: Sampler): Promise<number> {
  return (await stepsOf(sampler, NOISE, field)).at(-1)!.state.latent.data[0]!;
}

Deno.test("adamsFlow() has a far smaller error than Euler's method", async () => {
  const exact = await end(adamsFlow(schedule(400)));
  const error = async (sampler: Sampler): Promise<number> => Math.abs(await end(sampler) - exact);
  for (const steps of [10, 20]) {
    assert(await error(adamsFlow(schedule(steps))) < await error(flowEuler(schedule(steps))) / 5);
    const ratio = await error(adamsFlow(schedule(steps))) /
      await error(adamsFlow(schedule(2 * steps)));
    assert(ratio > 3.5, `${ratio}`); // the first step leaves an error of second order
  }
});

Deno.test("adamsFlow() is exact where velocity is a polynomial of sigma of second degree, once it has three", async () => {
  const { sigmas } = schedule(6);
  const sampler = adamsFlow(schedule(6));
  const steps = await stepsOf(sampler, NOISE, ({ dims, data }, { index }) => {
    const sigma = sigmas[index]!;
    return Promise.resolve({ dims, data: data.map(() => 1 + 2 * sigma - 3 * sigma ** 2) });
  });
  const antiderivative = (sigma: number): number => sigma + sigma ** 2 - sigma ** 3;
  for (let step = 2; step < 6; step++) {
    const moved = steps[step]!.state.latent.data[0]! - steps[step - 1]!.state.latent.data[0]!;
    const wanted = antiderivative(sigmas[step + 1]!) - antiderivative(sigmas[step]!);
    assertAlmostEquals(moved, wanted, 1e-6); // latents are float32
  }
});

Deno.test("adamsFlow() goes on from any stored state as if it had never stopped, and estimates as Euler does", async () => {
  const sampler = adamsFlow(schedule(5));
  const whole = await stepsOf(sampler, NOISE, field);
  for (const { state } of [{ state: startOf(NOISE) }, ...whole]) {
    const rest = sampleSteps(sampler, { start: structuredClone(state), denoise: field });
    assertEquals(await Array.fromAsync(rest), whole.slice(state.index));
  }
  const [first] = await stepsOf(flowEuler(schedule(5)), NOISE, field);
  first!.estimate.data.forEach((value, i) => {
    assertAlmostEquals(whole[0]!.estimate.data[i]!, value, 1e-6); // float32 in another order
  });
});
