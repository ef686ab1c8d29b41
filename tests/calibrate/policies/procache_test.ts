import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import { shareOf } from "../../../src/calibrate/policies/partial_steps.ts";
import type { ReadFor } from "../../../src/calibrate/policies/policy.ts";
import { drawPatterns, PROCACHE } from "../../../src/calibrate/policies/procache.ts";
import { PlanError } from "../../../src/errors.ts";
import { jsonFile, readFor } from "./policy_file.ts";

/** The pattern that is shipped for 50 steps of DiT: 1 is computed, 0 reused, 2 partial. */
const SHIPPED = [
  ...Array.from({ length: 6 }, () => [1, 0, 2, 0]),
  ...Array.from({ length: 4 }, () => [1, 0, 2]),
  ...Array.from({ length: 7 }, () => [1, 0]),
].flat();
const README = { full: 11, shortest: 2, longest: 5, candidates: 5, seed: 0 };

/** How many steps are reused after each computed one. */
function gapsOf(pattern: readonly boolean[]): readonly number[] {
  const starts = pattern.flatMap((full, step) => full ? [step] : []);
  return starts.map((start, i) => (starts[i + 1] ?? pattern.length) - start - 1);
}

Deno.test("drawPatterns() draws patterns of 50 steps that fulfil the published constraints", () => {
  const patterns = drawPatterns(50, README);
  assertEquals(patterns.length, 5);
  assertEquals(new Set(patterns.map(String)).size, 5);
  assertEquals(drawPatterns(50, README), patterns);
  for (const pattern of patterns) {
    assertEquals([pattern.length, pattern[0], gapsOf(pattern).length], [50, true, 11]);
  }
});

Deno.test("drawPatterns() keeps every constraint: budget, gaps within bounds that never grow", () => {
  const options = fc.record({
    full: fc.integer({ min: 1, max: 12 }),
    shortest: fc.nat(3),
    more: fc.nat(4),
    candidates: fc.integer({ min: 1, max: 6 }),
    seed: fc.nat(),
    share: fc.double({ min: 0, max: 1, noNaN: true }),
  });
  fc.assert(
    fc.property(options, ({ more, share, ...given }) => {
      const longest = given.shortest + more;
      const least = given.full * (given.shortest + 1);
      const steps = least + Math.round(share * given.full * more);
      const patterns = drawPatterns(steps, { ...given, longest });
      assert(patterns.length <= given.candidates);
      for (const pattern of patterns) {
        const gaps = gapsOf(pattern);
        assertEquals([pattern.length, pattern[0], gaps.length], [steps, true, given.full]);
        assert(
          gaps.every((gap, i) =>
            gap >= given.shortest && gap <= longest && gap <= (gaps[i - 1] ?? gap)
          ),
        );
      }
    }),
    { numRuns: 50 },
  );
});

Deno.test("drawPatterns() refuses constraints that no pattern fulfils", () => {
  const wrong = [{ full: 17 }, { full: 8 }, { full: 0 }, { shortest: 6 }, { longest: 1 }];
  for (const change of wrong) {
    const draw = () => drawPatterns(50, { ...README, ...change });
    assertThrows(draw, RangeError, "50 steps must be within full × (shortest + 1)");
  }
});

const SETTINGS = {
  full: 0.22,
  shortest: 2,
  longest: 5,
  candidates: 5,
  seed: 0,
  fresh: 0.07,
  early: 0.75,
};

/** A DiT of 28 blocks, in 50 steps. */
function xl(): Required<ReadFor> {
  const about = readFor(50);
  const modules = Array.from({ length: 28 }, (_, l) => [`blocks.${l}.attn`, `blocks.${l}.mlp`]);
  return { ...about, model: { ...about.model!, modules: modules.flat() } };
}

Deno.test("procache reads the shipped pattern: 17 steps in full, 10 partial, 23 reused", async () => {
  const { rows, own } = await PROCACHE.read!(jsonFile(SHIPPED), SETTINGS, xl());
  const [full, reuse] = [".".repeat(56), "r".repeat(56)];
  const partial = "r".repeat(42) + "rp".repeat(7); // MLPs of the last seven of 28 blocks
  assertEquals(
    rows.map(({ text }) => text),
    SHIPPED.map((symbol) => [reuse, full, partial][symbol]!),
  );
  assertEquals([17, 10, 23], [1, 2, 0].map((s) => SHIPPED.filter((each) => each === s).length));
  assertEquals(own!.tokenScore, { attention: 1, age: 0.0625, bonus: 0.6, cell: 2 });
  assertEquals(own!.times, xl().sampler.times);
});

/** Of 256 tokens, by partial step: those of blocks 21 … 27, computed by the published formula in Python. */
const COUNTS: Readonly<Record<number, readonly number[]>> = {
  2: [0, 0, 0, 0, 0, 0, 0],
  6: [0, 0, 0, 0, 0, 0, 0],
  10: [0, 0, 0, 0, 0, 0, 0],
  14: [9, 10, 10, 10, 10, 10, 10],
  18: [25, 26, 26, 26, 27, 27, 27],
  22: [41, 42, 42, 43, 44, 44, 45],
  26: [57, 58, 59, 60, 60, 61, 62],
  29: [69, 70, 71, 72, 73, 74, 75],
  32: [81, 82, 83, 84, 85, 87, 88],
  35: [93, 94, 96, 97, 98, 99, 101],
};

Deno.test("partial steps of the shipped pattern compute the published counts of tokens", async () => {
  const { own } = await PROCACHE.read!(jsonFile(SHIPPED), SETTINGS, xl());
  const counts = own!.columns!.shares!.flatMap((shares, step) =>
    shares === null ? [] : [[`${step}`, shares.map((share) => Math.floor(share * 256))]]
  );
  assertEquals(Object.fromEntries(counts), COUNTS);
});

Deno.test("the share of tokens grows from none in the first quarter of the steps to 0.58 … 0.63 at the last", () => {
  const at = (layer: number, step: number): number => shareOf(0.07, { layer: layer / 27, step });
  assertEquals([at(21, 0.98), at(27, 0.75)], [0, 0]);
  assert(at(21, 0.74) > 0);
  assertEquals([at(21, 0), at(27, 0)].map((share) => share.toFixed(2)), ["0.58", "0.63"]);
  assertEquals(shareOf(5, { layer: 1, step: 0 }), 1);
});

Deno.test("without tokens, or without blocks that have any, procache reuses its partial steps whole", async () => {
  const texts = async (changes: Partial<typeof SETTINGS>) => {
    const { rows, own } = await PROCACHE.read!(
      jsonFile(SHIPPED),
      { ...SETTINGS, ...changes },
      xl(),
    );
    assertEquals(own, undefined); // a plan of version 1
    return rows.filter(({ text }) => text === "r".repeat(56)).length;
  };
  assertEquals([await texts({ fresh: 0 }), await texts({ early: 1 })], [33, 33]);
});

Deno.test("procache refuses files that are no list of symbols for the steps", async () => {
  const read = (value: unknown) => PROCACHE.read!(jsonFile(value), SETTINGS, readFor(50));
  const wrong = [
    [SHIPPED.slice(1), "it must be a list of 50 symbols, one for each step: current value is 49"],
    [{}, "it must be a list of 50 symbols"],
    [SHIPPED.with(3, 3), "symbol 3 must be 0, 1 or 2: current value is 3"],
    [SHIPPED.with(3, NaN), "symbol 3 must be 0, 1 or 2"],
  ] as const;
  for (const [value, message] of wrong) await assertRejects(() => read(value), PlanError, message);
});
