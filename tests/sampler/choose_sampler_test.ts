import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { chooseSampler } from "../../src/sampler/choose_sampler.ts";
import type { NoiseSpacing, SamplerDefaults } from "../../src/sampler/config.ts";
import { makeSampler, samplerNames } from "../../src/sampler/solvers.ts";

const ORIGINAL: SamplerDefaults = { name: "ddim", steps: 50, guidance: 4, guidanceChannels: 3 };
const SPACING: NoiseSpacing = {
  kind: "leading",
  offset: 1,
  endsAtOne: false,
  betas: { first: 0.00085, last: 0.012, curve: "scaled_linear" },
};
const FLOW: SamplerDefaults = {
  name: "flow-euler",
  steps: 28,
  guidance: 3.5,
  shift: { kind: "static", shift: 3 },
};

Deno.test("chooseSampler() keeps guidance, betas and spacing, as diffusers' from_config() does", () => {
  const own = { ...ORIGINAL, spacing: SPACING, predicts: "v" } as const;
  const spacing = { ...SPACING, endsAtOne: true };
  assertEquals(chooseSampler(own, "unipc"), { ...own, name: "unipc", spacing });
  assertEquals(chooseSampler(own, "deis"), { ...own, name: "deis", spacing: SPACING });
  assertEquals(chooseSampler(own, "dpmpp-3m:log-snr"), {
    ...own,
    name: "dpmpp-3m",
    spacing: { ...spacing, kind: "log-snr" },
  });
  assertEquals(chooseSampler(FLOW, "flow-unipc"), { ...FLOW, name: "flow-unipc" });
});

Deno.test("chooseSampler() takes the model's own solver as it is, and a flow's without its prefix", () => {
  assertEquals(chooseSampler(ORIGINAL, "ddim"), ORIGINAL);
  assertEquals(chooseSampler(FLOW, "euler"), FLOW);
  assertEquals(chooseSampler(FLOW, "dpmpp-2m").name, "flow-dpmpp-2m");
});

Deno.test("chooseSampler() spreads times as diffusers does where the model's authors have no such solver", () => {
  const { times } = makeSampler(chooseSampler(ORIGINAL, "unipc"), { steps: 4, tokens: 0 });
  assertEquals(times, [999, 749, 500, 250]);
});

Deno.test("chooseSampler() makes an odd number of steps of Heun's", () => {
  assertEquals(chooseSampler(ORIGINAL, "heun").steps, 49);
  assertEquals(chooseSampler(FLOW, "heun").steps, 27);
  assertThrows(
    () => makeSampler(chooseSampler(FLOW, "heun"), { steps: 28, tokens: 0 }),
    RangeError,
    "steps of flow-heun must be odd",
  );
});

const REFUSED: readonly (readonly [SamplerDefaults, string, string])[] = [
  [ORIGINAL, "unipcc", "sampler must be one of 10 names such as unipc"],
  [ORIGINAL, "flow-euler", "sampler must be one of 10 names"],
  [ORIGINAL, "", "sampler must be one of 10 names"],
  [ORIGINAL, "original", "sampler must be one of 10 names"],
  [FLOW, "ddim", "sampler must be one of 6 names"],
  [FLOW, "unipc:karras", "spacing must not be given to flow-unipc: current value is karras"],
  [ORIGINAL, "ddim:karras", "spacing of ddim must be one of leading, trailing, linspace"],
  [ORIGINAL, "unipc:", "spacing of unipc must be one of 7 names"],
  [ORIGINAL, "unipc:karras:beta", "spacing of unipc must be one of 7 names"],
];

for (const [own, word, message] of REFUSED) {
  Deno.test(`chooseSampler() refuses ${JSON.stringify(word)} of a model sampled by ${own.name}`, () => {
    assertThrows(() => chooseSampler(own, word), RangeError, message);
  });
}

Deno.test("any word is a RangeError or a sampler whose every number is finite", () => {
  const spacings = ["leading", "trailing", "linspace", "karras", "exponential", "beta", "log-snr"];
  const word = fc.oneof(
    fc.string(),
    fc.tuple(fc.constantFrom(...samplerNames), fc.constantFrom(...spacings)).map((each) =>
      each.join(":")
    ),
    fc.constantFrom(...samplerNames),
  );
  const owns = fc.constantFrom(ORIGINAL, { ...ORIGINAL, spacing: SPACING }, FLOW);
  const steps = fc.integer({ min: 1, max: 1000 });
  const isTyped = (own: SamplerDefaults, word: string, steps: number): void => {
    try {
      const { times, linear } = makeSampler(chooseSampler(own, word), { steps, tokens: 256 });
      assertEquals([times.length, linear.length], [steps, steps]);
      for (const { latent, history, estimate } of linear) {
        assert([latent, ...history, estimate].flat().every(Number.isFinite), word);
      }
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      assert(/^Cannot (sample|make [a-z ]+): /.test(error.message), error.message);
    }
  };
  fc.assert(fc.property(owns, word, steps, isTyped), { seed: 1, numRuns: 600 });
});
