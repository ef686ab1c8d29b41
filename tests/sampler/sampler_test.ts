/** One suite for every sampler of the table, and for one that calls the model twice for each interval. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { parseSampler } from "../../src/sampler/config.ts";
import {
  type Denoise,
  type Sampler,
  type SamplerState,
  sampleSteps,
  startOf,
  type StepTime,
} from "../../src/sampler/sampler.ts";
import { makeSampler, samplerNames } from "../../src/sampler/solvers.ts";
import { normalNoise } from "../../src/tensor/random.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { heun } from "./heun.ts";
import { stepsOf } from "./sampler_steps.ts";

const NOISE = normalNoise([2, 1, 4, 4], 1);

/** A prediction that depends on the latent, the step and its time. */
const denoise: Denoise = ({ dims, data }, { index, time }) => {
  const noise = normalNoise(dims, 100 + index).data;
  return Promise.resolve({ dims, data: data.map((x, i) => Math.sin(x + time) + noise[i]! / 4) });
};

/** A state as it comes out of JSON. */
function stored(state: SamplerState): SamplerState {
  const number = (tensor: Tensor): unknown => ({ dims: tensor.dims, data: [...tensor.data] });
  const { index, latent, history } = JSON.parse(JSON.stringify({
    index: state.index,
    latent: number(state.latent),
    history: state.history.map(number),
  }));
  const tensor = ({ dims, data }: { dims: number[]; data: number[] }): Tensor => ({
    dims,
    data: Float32Array.from(data),
  });
  return { index, latent: tensor(latent), history: history.map(tensor) };
}

const SAMPLERS: readonly (readonly [string, (steps: number) => Sampler])[] = [
  ...samplerNames.map((name) =>
    [
      name,
      (steps: number) =>
        makeSampler(parseSampler({ name, steps, guidance: 1 }), { steps, tokens: 16 }),
    ] as const
  ),
  ["two calls for each interval", heun],
];

for (const [name, make] of SAMPLERS) {
  Deno.test(`${name}: a run from any step's stored state has the bits of the whole run`, async () => {
    for (const steps of [1, 2, 4, 7]) {
      const sampler = make(steps);
      const whole = await stepsOf(sampler, NOISE, denoise);
      for (const { state } of [{ state: startOf(NOISE) }, ...whole]) {
        const rest = sampleSteps(sampler, { start: stored(state), denoise });
        assertEquals(await Array.fromAsync(rest), whole.slice(state.index));
      }
    }
  });

  Deno.test(`${name}: times fall, and there is a weight, a report and a state for each`, async () => {
    for (const steps of [1, 2, 7, 50]) {
      const { times, weights, ...sampler } = make(steps);
      const given: StepTime[] = [];
      const reports = await stepsOf({ times, weights, ...sampler }, NOISE, (latent, at) => {
        given.push(at);
        return denoise(latent, at);
      });
      assertEquals(times.length, steps);
      assert(times.every((time, i) => i === 0 || time <= times[i - 1]!));
      assertEquals(weights.length, times.length);
      assert(weights.every((weight) => Number.isFinite(weight) && weight >= 0));
      assertEquals(given, times.map((time, index) => ({ index, time })));
      assertEquals(reports.map(({ index, time }) => ({ index, time })), given);
      assertEquals(reports.map(({ state }) => state.index), times.map((_, i) => i + 1));
      for (const { state, estimate } of reports) {
        assertEquals([state.latent.dims, estimate.dims], [NOISE.dims, NOISE.dims]);
        assert([state.latent, estimate].every(({ data }) => data.every(Number.isFinite)));
      }
    }
  });

  Deno.test(`${name}: each step is given the latent of the one before, and none is written to again`, async () => {
    const given: Float32Array[] = [];
    const before = NOISE.data.slice();
    const steps = await stepsOf(make(3), NOISE, (latent, at) => {
      given.push(latent.data.slice());
      return denoise(latent, at);
    });
    assertEquals(given, [before, ...steps.slice(0, -1).map(({ state }) => state.latent.data)]);
    assertEquals(NOISE.data, before);
  });

  Deno.test(`${name}: nothing is predicted that nobody waits for`, async () => {
    let calls = 0;
    const counted: Denoise = (latent, at) => {
      calls++;
      return denoise(latent, at);
    };
    const loop = sampleSteps(make(5), { start: startOf(NOISE), denoise: counted });
    assertEquals(calls, 0);
    await loop.next();
    assertEquals(calls, 1);
    await loop.return();
    assertEquals((await loop.next()).done, true);
    assertEquals(calls, 1);
  });

  Deno.test(`${name}: the error of a prediction rises`, async () => {
    const failing: Denoise = () => Promise.reject(new RangeError("no prediction"));
    const loop = sampleSteps(make(5), { start: startOf(NOISE), denoise: failing });
    await assertRejects(() => loop.next(), RangeError, "no prediction");
  });
}

Deno.test("Heun's method, two calls for each interval, is of second order", async () => {
  const exact: Denoise = ({ dims, data }) => Promise.resolve({ dims, data: data.map((x) => x) }); // dx/dσ = x
  const errors = [];
  for (const steps of [9, 17, 33]) { // 5, 9 and 17 intervals, the last one Euler's
    const end = (await stepsOf(heun(steps), NOISE, exact)).at(-1)!.state.latent.data[0]!;
    errors.push(Math.abs(end / NOISE.data[0]! - Math.exp(-1)));
  }
  assert(errors[0]! / errors[1]! > 2.5 && errors[1]! / errors[2]! > 2.5, `${errors}`); // first order: 2
});
