import { assertAlmostEquals, assertEquals } from "@std/assert";
import { flowEuler } from "../../src/sampler/flow_euler.ts";
import { evenSigmas, flowSchedule } from "../../src/sampler/flow_schedule.ts";
import { normalNoise } from "../../src/tensor/random.ts";
import { assertClose } from "../conformance/compare.ts";
import { stepsOf } from "./sampler_steps.ts";

Deno.test("flowEuler() finds the picture when velocity is the true one, and foresees it in every step", async () => {
  const schedule = flowSchedule(evenSigmas(5), { shift: { kind: "static", shift: 3 }, tokens: 1 });
  const noise = normalNoise([1, 3, 4], 1);
  const picture = normalNoise([1, 3, 4], 2);
  const velocity = { dims: noise.dims, data: noise.data.map((x, i) => x - picture.data[i]!) };
  const steps = await stepsOf(flowEuler(schedule), noise, () => Promise.resolve(velocity));
  assertEquals(steps.map(({ time }) => time), [...schedule.times]);
  // Five float32 sums of numbers around 1.
  for (const { estimate } of steps) {
    assertClose(estimate, picture, { tolerance: 1e-6, what: "estimate" });
  }
  assertClose(steps.at(-1)!.state.latent, picture, { tolerance: 1e-6, what: "picture" });
});

Deno.test("the weights of flowEuler() are how far a change of the prediction by one moves the latent", () => {
  const sampler = flowEuler(
    flowSchedule(evenSigmas(5), { shift: { kind: "static", shift: 3 }, tokens: 1 }),
  );
  const latent = normalNoise([1, 3, 4], 1);
  const velocity = normalNoise([1, 3, 4], 2);
  const more = { dims: velocity.dims, data: velocity.data.map((v) => v + 1) };
  for (const [index, weight] of sampler.weights.entries()) {
    const state = { index, latent, history: [] };
    const [one, other] = [velocity, more].map((given) =>
      sampler.advance(state, given).state.latent.data
    );
    one!.forEach((value, i) => assertAlmostEquals(Math.abs(value - other![i]!), weight, 1e-6)); // float32
  }
});
