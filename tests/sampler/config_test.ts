import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { AssetError } from "../../src/errors.ts";
import { parseSampler } from "../../src/sampler/config.ts";

const VALID = { name: "ddim", steps: 50, guidance: 2 };
const SHIFT = { kind: "dynamic", baseShift: 0.5, maxShift: 1.15, baseTokens: 256, maxTokens: 4096 };
const SPACING = {
  kind: "leading",
  offset: 0,
  endsAtOne: true,
  betas: { first: 0.0001, last: 0.02, curve: "linear" },
};

Deno.test("parseSampler() reads every field", () => {
  const all = { ...VALID, guidanceChannels: 3, spacing: SPACING, shift: SHIFT };
  for (const sampler of [VALID, all, { ...all, shift: { kind: "static", shift: 3 } }]) {
    assertEquals<unknown>(parseSampler(sampler), sampler);
  }
});

/** A change of a valid sampler → a part of the message. */
const REFUSED: readonly (readonly [Readonly<Record<string, unknown>>, string])[] = [
  [{ steps: 0 }, "sampler.steps must be at least 1"],
  [{ steps: 1001 }, "sampler.steps must be at most 1000"],
  [{ steps: 1.5 }, "sampler.steps must be of type int"],
  [{ name: "euler" }, 'sampler.name must be "ddim"'],
  [{ eta: 0 }, 'sampler must not have the key "eta"'],
  [{ name: undefined }, 'sampler.name must be "ddim" or '],
  [{ shift: { kind: "static", shift: 0 } }, "sampler.shift.shift must be more than 0"],
  [{ spacing: { ...SPACING, offset: -1 } }, "sampler.spacing.offset must be at least 0"],
  [{ guidance: Infinity }, "sampler.guidance must be of type number: current value is Infinity"],
];

for (const [change, message] of REFUSED) {
  Deno.test(`parseSampler() refuses ${JSON.stringify(change)}`, () => {
    const read = (): unknown => parseSampler({ ...VALID, ...change });
    assertThrows(read, AssetError, `Cannot read model.json: ${message}`);
  });
}

Deno.test("a sampler with any JSON in any place is a typed error or a sampler", () => {
  const key = fc.constantFrom(
    ...Object.keys(VALID),
    "guidanceChannels",
    "spacing",
    "shift",
    "__proto__",
  );
  const parsesOrRefuses = (sampler: unknown): void => {
    try {
      assert(parseSampler(sampler).steps >= 1);
    } catch (error) {
      if (!(error instanceof AssetError)) throw error;
      assert(/^Cannot read model\.json: [^\n]{1,400}$/.test(error.message), error.message);
    }
  };
  const anything = fc.oneof(fc.jsonValue(), fc.constant(undefined));
  fc.assert(fc.property(anything, parsesOrRefuses), { seed: 1, numRuns: 500 });
  const run = (at: string, value: unknown): void => parsesOrRefuses({ ...VALID, [at]: value });
  fc.assert(fc.property(key, fc.jsonValue(), run), { seed: 2, numRuns: 1000 });
});
