import { assertAlmostEquals, assertEquals } from "@std/assert";
import { ddim } from "../../src/sampler/ddim.ts";
import { planned } from "../../src/sampler/planned.ts";
import { makeSampler } from "../../src/sampler/solvers.ts";
import { scheduleAt } from "../../src/sampler/real_times.ts";
import { type Denoise, type Sampler, sampleSteps, startOf } from "../../src/sampler/sampler.ts";
import { normalNoise } from "../../src/tensor/random.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { stepsOf } from "./sampler_steps.ts";

const NOISE = normalNoise([2, 1, 4, 4], 1);
const outputAt = (index: number): Tensor => normalNoise(NOISE.dims, 50 + index);
const heun = (steps: number): Sampler => makeSampler({ name: "flow-heun" }, { steps, tokens: 0 });
const NONE = [null, null, null];
const denoise: Denoise = (_, { index }) => Promise.resolve(outputAt(index));

Deno.test("planned() weighs the latent and the latest outputs, the newest first", async () => {
  const update = [[0.5, -1], [0.25, 2, -3], [1, 0, 0.5, 0.125]];
  const sampler = planned(ddim(scheduleAt([900, 500.5, 20])), {
    update,
    forecast: NONE,
    kept: [2, 2, 0],
  });
  const steps = await stepsOf(sampler, NOISE, denoise);
  const [e0, e1, e2] = [0, 1, 2].map((i) => outputAt(i).data);
  NOISE.data.forEach((x, i) => {
    const x1 = Math.fround(0.5 * x - e0![i]!);
    const x2 = Math.fround(0.25 * x1 + 2 * e1![i]! - 3 * e0![i]!);
    const x3 = Math.fround(x2 + 0.5 * e1![i]! + 0.125 * e0![i]!);
    [x1, x2, x3].forEach((value, s) => {
      assertAlmostEquals(steps[s]!.state.latent.data[i]!, value, 1e-6); // sums in another order
    });
    assertEquals(e2![i], outputAt(2).data[i]);
  });
  assertEquals(steps.map(({ state }) => state.history.length), [1, 2, 0]);
  assertEquals(sampler.weights, [1, 2, 0]);
});

Deno.test("planned() leaves to the solver the steps without weights, with what the solver keeps", async () => {
  const solver = heun(7);
  const none = Array.from({ length: 7 }, () => null);
  const kept = Array.from({ length: 7 }, () => 0);
  const wanted = await stepsOf(solver, NOISE, denoise);
  assertEquals(
    await stepsOf(planned(solver, { update: none, forecast: none, kept }), NOISE, denoise),
    wanted,
  );
  const update = [...none.slice(0, 6), [1, 0, 0]]; // the last step leaves the latent as it is
  const last = await stepsOf(
    planned(solver, { update, forecast: none, kept: [0, 0, 0, 0, 0, 1, 0] }),
    NOISE,
    denoise,
  );
  assertEquals(last[6]!.state.latent.data, wanted[5]!.state.latent.data);
  assertEquals(last.slice(0, 5), wanted.slice(0, 5));
});

Deno.test("planned() goes on from any stored state as if it had never stopped", async () => {
  const update = [[0.5, -1], null, [1, 0, 0.5, 0.125], [0.5, 0.5, 0, 0, 1], null];
  const sampler = planned(heun(5), {
    update,
    forecast: [...NONE, null, null],
    kept: [1, 2, 3, 0, 0],
  });
  const whole = await stepsOf(sampler, NOISE, denoise);
  for (const { state } of [{ state: startOf(NOISE) }, ...whole]) {
    const rest = sampleSteps(sampler, { start: structuredClone(state), denoise });
    assertEquals(await Array.fromAsync(rest), whole.slice(state.index));
  }
});

Deno.test("planned() asks for no prediction at a forecast step, and follows its solver with the forecast", async () => {
  const solver = makeSampler({ name: "dpmpp-2m" }, {
    times: [900, 500, 300.5, 20],
    steps: 4,
    tokens: 0,
  });
  const forecast = [null, [0, 1], [0.5, 0.25], null];
  const asked: number[] = [];
  const none = [...NONE, null];
  const sampler = planned(solver, { update: none, forecast, kept: [1, 1, 0, 0] });
  const steps = await stepsOf(sampler, NOISE, (latent, at) => {
    asked.push(at.index);
    return denoise(latent, at);
  });
  assertEquals(asked, [0, 3]);
  const second = steps[1]!.state.latent.data;
  const wanted = await stepsOf(solver, NOISE, ({ dims }, { index }) => {
    const [first, last] = [outputAt(0), outputAt(3)];
    const foreseen = { dims, data: first.data.map((e, i) => 0.5 * second[i]! + 0.25 * e) };
    return Promise.resolve([first, first, foreseen, last][index]!);
  });
  steps.forEach(({ state: { latent } }, step) => {
    latent.data.forEach((value, i) => { // sums in another order
      assertAlmostEquals(value, wanted[step]!.state.latent.data[i]!, 1e-4);
    });
  });
});
