import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
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

Deno.test("procache reads the shipped pattern: 17 steps in full, 10 partial and 23 reused ones reuse every module", async () => {
  assertEquals(SHIPPED.filter((symbol) => symbol === 2).length, 10);
  const settings = { full: 0.22, shortest: 2, longest: 5, candidates: 5, seed: 0 };
  const read = (value: unknown) => PROCACHE.read!(jsonFile(value), settings, readFor(50));
  const texts = (await read(SHIPPED)).rows.map(({ text }) => text);
  assertEquals(
    texts.map((text) => text === ".." ? 1 : 0),
    SHIPPED.map((symbol) => symbol === 1 ? 1 : 0),
  );
  assertEquals(texts.filter((text) => text === "rr").length, 33);
  const wrong = [
    [SHIPPED.slice(1), "it must be a list of 50 symbols, one for each step: current value is 49"],
    [{}, "it must be a list of 50 symbols"],
    [SHIPPED.with(3, 3), "symbol 3 must be 0, 1 or 2: current value is 3"],
    [SHIPPED.with(3, NaN), "symbol 3 must be 0, 1 or 2"],
  ] as const;
  for (const [value, message] of wrong) await assertRejects(() => read(value), PlanError, message);
});
