/** One suite for every sampler of the table. */

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
import { weightedSum } from "../../src/sampler/linear.ts";
import { makeSampler, samplerNames } from "../../src/sampler/solvers.ts";
import { normalNoise } from "../../src/tensor/random.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { assertClose } from "../conformance/compare.ts";
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

/** The sampler of so many steps; of Heun's method, whose steps are odd, one more if need be. */
function made(name: string, steps: number): Sampler {
  const odd = name.endsWith("heun") && steps % 2 === 0 ? steps + 1 : steps;
  return makeSampler(parseSampler({ name, steps: odd, guidance: 1 }), { steps: odd, tokens: 16 });
}

for (const name of samplerNames) {
  const make = (steps: number): Sampler => made(name, steps);

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
      assert(times.length === steps || times.length === steps + 1 && name.endsWith("heun"));
      assert(times.every((time, i) => i === 0 || time <= times[i - 1]!));
      assertEquals([weights.length, sampler.points.length], [times.length, times.length + 1]);
      assert(sampler.points.every(({ alpha, sigma }) => alpha >= 0 && sigma >= 0));
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

  Deno.test(`${name}: a step is the weighted sums that it says`, async () => {
    const sampler = make(7);
    let before = startOf(NOISE);
    const predictions: Tensor[] = [];
    const reports = await stepsOf(sampler, NOISE, async (latent, at) => {
      const prediction = await denoise(latent, at);
      predictions.push(prediction);
      return prediction;
    });
    for (const { index, state, estimate } of reports) {
      const sources = [predictions[index]!, before.latent, ...before.history];
      const { latent, history, estimate: told } = sampler.linear[index]!;
      const pairs = [
        [latent, state.latent],
        [told, estimate],
        ...history.map((weights, i) => [weights, state.history[i]!] as const),
      ] as const;
      for (const [weights, made] of pairs) {
        const what = `${name}, step ${index}`;
        // DDIM and Euler round each product to float32, of numbers up to 160 at the first step.
        assertClose(weightedSum(weights, sources), made, { tolerance: 1e-4, what });
      }
      assertEquals(state.history.length, history.length);
      assert(Math.abs(Math.abs(latent[0] ?? 0) - sampler.weights[index]!) < 1e-6);
      before = state;
    }
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
    const end = (await stepsOf(made("flow-heun", steps), NOISE, exact)).at(-1)!.state.latent
      .data[0]!;
    errors.push(Math.abs(end / NOISE.data[0]! - Math.exp(-1)));
  }
  assert(errors[0]! / errors[1]! > 2.5 && errors[1]! / errors[2]! > 2.5, `${errors}`); // first order: 2
});
