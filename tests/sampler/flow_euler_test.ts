import { assertEquals } from "@std/assert";
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
