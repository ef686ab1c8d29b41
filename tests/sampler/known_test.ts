import { assert, assertEquals } from "@std/assert";
import { parseSampler } from "../../src/sampler/config.ts";
import { noised, restored } from "../../src/sampler/known.ts";
import { type Denoise, sampleSteps, startOf } from "../../src/sampler/sampler.ts";
import { makeSampler, samplerNames } from "../../src/sampler/solvers.ts";
import { normalNoise } from "../../src/tensor/random.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { assertClose } from "../conformance/compare.ts";

const NOISE = normalNoise([2, 1, 4, 4], 1);
const PICTURE = normalNoise([1, 1, 4, 4], 2);
const STEPS = 7; // odd, as Heun's method wants it

for (const name of samplerNames) {
  const config = parseSampler({ name, steps: STEPS, guidance: 1 });
  const whole = makeSampler(config, { steps: STEPS, tokens: 16 });

  Deno.test(`${name}: the rest of a run has the times and points of the whole`, () => {
    assertEquals(makeSampler(config, { steps: STEPS, tokens: 16, from: 0 }).times, whole.times);
    for (let from = 1; from < STEPS; from++) {
      const rest = makeSampler(config, { steps: STEPS, tokens: 16, from });
      const { length } = rest.times;
      assert(length === STEPS - from || (name.includes("heun") && length === STEPS - from + 1));
      assertEquals(rest.times, whole.times.slice(-length));
      assertEquals(rest.points, whole.points.slice(-length - 1));
      assertEquals(rest.weights.length, length);
      assertEquals(rest.linear[0]!.latent.slice(2).some((weight) => weight !== 0), false);
    }
  });

  Deno.test(`${name}: a run of a model that knows the picture ends at it, wherever it begins`, async () => {
    for (const from of [0, 1, 3, 6]) {
      const sampler = makeSampler(config, { steps: STEPS, tokens: 16, from });
      const predicts = name.startsWith("flow-") ? "velocity" : "noise";
      const oracle: Denoise = ({ dims, data }, { index }) => {
        const { alpha, sigma } = sampler.points[index]!; // one for each step
        const numbers = data.map((x, i) => {
          const known = PICTURE.data[i % PICTURE.data.length]!;
          const noise = (x - alpha * known) / sigma;
          return predicts === "velocity" ? noise - known : noise;
        });
        return Promise.resolve({ dims, data: numbers });
      };
      const start = startOf(noised(PICTURE, NOISE, sampler.points[0]!));
      const steps = await Array.fromAsync(sampleSteps(sampler, { start, denoise: oracle }));
      const { alpha, sigma } = sampler.points.at(-1)!;
      const wanted = noised(PICTURE, NOISE, { alpha, sigma });
      assertClose(steps.at(-1)!.state.latent, wanted, { tolerance: 1e-3, what: "latent" });
    }
  });
}

Deno.test("noised() is noise alone at the beginning of a flow, and the picture at its end", () => {
  assertEquals(noised(PICTURE, NOISE, { alpha: 0, sigma: 1 }), NOISE);
  const end = noised(PICTURE, NOISE, { alpha: 1, sigma: 0 });
  assertEquals([...end.data.subarray(16)].map((v) => v + 0), [...PICTURE.data].map((v) => v + 0));
});

Deno.test("restored() puts back what a mask keeps, with the noise of the point, and none at the end", () => {
  const latent = normalNoise([2, 1, 4, 4], 3);
  const mask: Tensor = { dims: PICTURE.dims, data: PICTURE.data.map((_, i) => i < 5 ? 1 : 0) };
  const known = { latents: PICTURE, mask };
  const point = { alpha: 0.75, sigma: 0.25 };
  const mixed = restored(latent, { known, noise: NOISE, point });
  const wanted = noised(PICTURE, NOISE, point);
  assertEquals(mixed.data, latent.data.map((v, i) => i % 16 < 5 ? v : wanted.data[i]!));
  const last = restored(latent, { known, noise: NOISE, point: undefined });
  assertEquals(last.data, latent.data.map((v, i) => i % 16 < 5 ? v : PICTURE.data[i % 16]!));
  const all = restored(latent, { known: { latents: PICTURE }, noise: NOISE, point });
  assertEquals(all, latent);
});
