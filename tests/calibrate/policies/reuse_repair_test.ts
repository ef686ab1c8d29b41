import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { openPipeline } from "../../../mod.ts";
import { calibrate } from "../../../src/calibrate/mod.ts";
import {
  forecastOf,
  movedTimes,
  type Repair,
  repairReuse,
} from "../../../src/calibrate/policies/reuse_repair.ts";
import { samplerAtTimes, scheduleOf } from "../../../src/calibrate/policies/schedule.ts";
import type { SamplerConfig } from "../../../src/sampler/config.ts";
import { planned } from "../../../src/sampler/planned.ts";
import { type Sampler, sampleSteps, startOf } from "../../../src/sampler/sampler.ts";
import { normalNoise } from "../../../src/tensor/random.ts";

const FLOW: SamplerConfig = { name: "flow-euler" };
const DDIM: SamplerConfig = { name: "ddim" };
/** A model by number: what it puts out for a latent at a time. */
type Model = (x: number, time: number) => number;

const NOISE = { dims: [4], data: Float32Array.of(4, -3, 2, 7) };

function repair(config: SamplerConfig, model: Model, { steps, threshold }: {
  readonly steps: number;
  readonly threshold: number;
}): Promise<Repair> {
  return repairReuse(scheduleOf(config, { steps, tokens: 4 }), {
    threshold,
    samplerAt: (times) => samplerAtTimes(config, { times, tokens: 4 }),
    open: () =>
      Promise.resolve({
        noise: NOISE.data,
        predict: (x: Float32Array, time: number) =>
          Promise.resolve(x.map((value) => model(value, time))),
        close: () => {},
      }),
  });
}

/** The latents of a run under a sampler. */
async function run(sampler: Sampler, model: Model): Promise<Float32Array> {
  let result = NOISE.data;
  const denoise = ({ dims, data }: typeof NOISE, { time }: { readonly time: number }) =>
    Promise.resolve({ dims, data: data.map((value) => model(value, time)) });
  for await (
    const { state } of sampleSteps(sampler, { start: startOf(NOISE), denoise: denoise as never })
  ) {
    result = state.latent.data as typeof result;
  }
  return result;
}

function plannedBy({ times, forecast }: Repair, config: SamplerConfig): Sampler {
  const none = times.map(() => null);
  const kept = times.map((_, step) => step < times.length - 1 ? 1 : 0);
  return planned(samplerAtTimes(config, { times, tokens: 4 }), { update: none, forecast, kept });
}

Deno.test("without any error what is reused equals the solver bit for bit: times, lengths, slopes and latents", async () => {
  const model: Model = (x) => x + 3; // what is added to the latent is always the same; all numbers are exact
  const found = await repair(FLOW, model, { steps: 4, threshold: 0.5 });
  assertEquals(found.reused, [false, true, true, true]);
  assertEquals(found.times, scheduleOf(FLOW, { steps: 4, tokens: 4 }).times);
  assertEquals([found.lengths, found.slopes], [[1, 1, 1, 1], [0, 0, 0, 0]]);
  const plain = await run(samplerAtTimes(FLOW, { times: found.times, tokens: 4 }), model);
  assertEquals(await run(plannedBy(found, FLOW), model), plain);
});

Deno.test("a threshold of 0 reuses nothing, and the plan's run has the bits of the run in full", async () => {
  const pipeline = await openPipeline({
    model: new URL("../../golden/dit-a/", import.meta.url),
    backend: "wasm",
  });
  try {
    const plan = await calibrate(pipeline, { policy: "ertacache:threshold=0", runs: 2, steps: 8 });
    assertEquals([plan.version, plan.columns], [2, undefined]);
    const asked = { label: 2, seed: 4, output: "latents" } as const;
    const { latents } = await pipeline.generate({ ...asked, plan });
    assertEquals(latents, (await pipeline.generate({ ...asked, plan: "none", steps: 8 })).latents);
  } finally {
    await pipeline.close();
  }
});

for (const config of [FLOW, DDIM]) {
  Deno.test(`factors of reused outputs halve at least what reuse under ${config.name} leaves`, async () => {
    const model: Model = (x, time) =>
      x * (1.2 - 0.3 * time / (config.name === "ddim" ? 1000 : 1)) - 0.5;
    const found = await repair(config, model, { steps: 12, threshold: 0.5 });
    const { reused, lengths, slopes, times } = found;
    assert(reused.filter((each) => each).length >= 4, `${reused}`);
    assert(
      lengths.every((length, step) => length > 0 && length <= 1 && (reused[step] || length === 1)),
    );
    assert(times.every((time, step) => step === 0 || time < times[step - 1]!));
    const schedule = scheduleOf(config, { steps: 12, tokens: 4 });
    const full = await run(samplerAtTimes(config, { times: schedule.times, tokens: 4 }), model);
    const errorOf = async (plan: Repair): Promise<number> =>
      (await run(plannedBy(plan, config), model)).reduce(
        (all, value, i) => all + Math.abs(value - full[i]!),
        0,
      );
    const sampler = samplerAtTimes(config, { times: schedule.times, tokens: 4 });
    const withSlopes = (own: readonly number[]): Repair => ({
      ...{ ...found, times: schedule.times },
      forecast: forecastOf(sampler.linear, { reused, slopes: own }),
    });
    assert(await errorOf(withSlopes(slopes)) < await errorOf(withSlopes(slopes.map(() => 0))) / 2);
  });
}

Deno.test("forecastOf() tells output − latent of the last computed step by the latent of now", async () => {
  const sampler = samplerAtTimes(DDIM, {
    times: scheduleOf(DDIM, { steps: 6, tokens: 4 }).times,
    tokens: 4,
  });
  const reused = [false, true, true, false, true, true];
  const slopes = [0, 0.1, -0.05, 0, 0.2, 0];
  const forecast = forecastOf(sampler.linear, { reused, slopes });
  const dims = [8];
  let [state, held, output] = [
    startOf(normalNoise(dims, 1)),
    new Float32Array(8),
    new Float32Array(8),
  ];
  for (const [step, weights] of forecast.entries()) {
    const { data } = state.latent;
    if (weights === null) {
      output = normalNoise(dims, 7 + step).data as typeof output;
      held = output.map((value, i) => value - data[i]!);
    }
    const made = weights === null
      ? output
      : data.map((x, i) => (1 - slopes[step]!) * (x + held[i]!));
    const told = weights && data.map((x, i) => weights[0]! * x + weights[1]! * output[i]!);
    told?.forEach((value, i) => assertAlmostEquals(value, made[i]!, 1e-4)); // float32 latents of about 3
    state = (await Promise.resolve(sampler.advance(state, { dims, data: made }))).state;
  }
});

Deno.test("movedTimes() keeps times where no step is shortened, and lets the rest of the way be shared equally", () => {
  const steps = fc.integer({ min: 1, max: 40 });
  fc.assert(fc.property(steps, (count) => {
    const { times } = scheduleOf(DDIM, { steps: count + 1, tokens: 4 });
    assertEquals(movedTimes(times, times.map(() => 1)), times);
    const lengths = times.map((_, i) => i % 3 === 1 && i < count ? 0.4 : 1);
    const moved = movedTimes(times, lengths);
    assert(moved.every((time, i) => time >= times[i]! && (i === 0 || time < moved[i - 1]!)));
  }));
  assertEquals(movedTimes([4, 3, 2, 1], [1, 0.5, 1, 1]), [4, 3, 2.5, 1.25]);
});

Deno.test("a sampler that looks back is refused", async () => {
  const call = () => repair({ name: "unipc" }, (x) => x, { steps: 6, threshold: 1 });
  await assertRejects(call, RangeError, "sampler must be of first order for policy ertacache");
});
