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
const denoise: Denoise = (_, { index }) => Promise.resolve(outputAt(index));

Deno.test("planned() weighs the latent and the latest outputs, the newest first", async () => {
  const update = [[0.5, -1], [0.25, 2, -3], [1, 0, 0.5, 0.125]];
  const sampler = planned(ddim(scheduleAt([900, 500.5, 20])), { update, kept: [2, 2, 0] });
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
  assertEquals(await stepsOf(planned(solver, { update: none, kept }), NOISE, denoise), wanted);
  const update = [...none.slice(0, 6), [1, 0, 0]]; // the last step leaves the latent as it is
  const last = await stepsOf(
    planned(solver, { update, kept: [0, 0, 0, 0, 0, 1, 0] }),
    NOISE,
    denoise,
  );
  assertEquals(last[6]!.state.latent.data, wanted[5]!.state.latent.data);
  assertEquals(last.slice(0, 5), wanted.slice(0, 5));
});

Deno.test("planned() goes on from any stored state as if it had never stopped", async () => {
  const update = [[0.5, -1], null, [1, 0, 0.5, 0.125], [0.5, 0.5, 0, 0, 1], null];
  const sampler = planned(heun(5), { update, kept: [1, 2, 3, 0, 0] });
  const whole = await stepsOf(sampler, NOISE, denoise);
  for (const { state } of [{ state: startOf(NOISE) }, ...whole]) {
    const rest = sampleSteps(sampler, { start: structuredClone(state), denoise });
    assertEquals(await Array.fromAsync(rest), whole.slice(state.index));
  }
});
