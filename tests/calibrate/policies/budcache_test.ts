/** BudCache's search, over costs that are made up. */

import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { calibrate, openPipeline } from "../../../mod.ts";
import {
  anneal,
  type AnnealOptions,
  evenStart,
  keptSteps,
} from "../../../src/calibrate/policies/budcache.ts";

/** Any number of steps, and of them that are computed. */
const anyTask = fc.tuple(
  fc.integer({ min: 1, max: 14 }),
  fc.integer({ min: 1, max: 14 }),
  fc.nat(99),
)
  .map(([steps, evaluations, seed]) => ({
    ...{ steps, evaluations: Math.min(steps, evaluations) },
    ...{ iterations: 30, seed },
  }));

/** A cost without any order: of neighbouring placements it says nothing. */
function rough(salt: number): (visited: readonly number[]) => Promise<number> {
  return (visited) => {
    const hash = visited.reduce((all, step) => Math.imul(all ^ (step + 1), 0x9e3779b1), salt + 1);
    return Promise.resolve((hash >>> 0) / 2 ** 36);
  };
}

Deno.test("anneal() keeps the number of computed steps and the first of them, and never ends worse than it began", async () => {
  await fc.assert(
    fc.asyncProperty(anyTask, fc.nat(1000), async (options: AnnealOptions, salt) => {
      const cost = rough(salt);
      const seen = new Set<string>();
      const { visited, error, tried } = await anneal((each) => {
        assertEquals(each.length, options.evaluations);
        assertEquals([...each], [...new Set(each)].toSorted((a, b) => a - b));
        assert(each.every((step) => step >= 0 && step < options.steps));
        const kept = each.slice(0, keptSteps(options.evaluations));
        assertEquals(kept, kept.map((_, i) => i));
        assert(!seen.has(`${each}`), "measured twice");
        seen.add(`${each}`);
        return cost(each);
      }, options);
      assertEquals([tried, error], [seen.size, await cost(visited)]);
      assert(error <= await cost(evenStart(options)));
      assertEquals(await anneal(cost, options), { visited, error, tried }); // by its seed
      // Climbed: no step is better off up to three away.
      for (const from of visited.slice(keptSteps(options.evaluations))) {
        for (let to = from - 3; to <= from + 3; to++) {
          if (to < 0 || to >= options.steps || visited.includes(to)) continue;
          const moved = visited.map((step) => step === from ? to : step).toSorted((a, b) => a - b);
          assert(error <= await cost(moved));
        }
      }
    }),
    { numRuns: 60 },
  );
});

Deno.test("anneal() finds a valley that climbing alone cannot see", async () => {
  const options = { steps: 40, evaluations: 4, iterations: 400, seed: 1 };
  // Down to 20 step by step, but for a wall at 10; a far valley at 33.
  const cost = (visited: readonly number[]): Promise<number> => {
    const last = visited.at(-1)!;
    return Promise.resolve(last === 33 ? 0 : 0.01 + Math.abs(last - 20) / 1e3);
  };
  const { visited, error } = await anneal(cost, options);
  assertEquals([visited.at(-1), error], [33, 0]);
});

Deno.test("evenStart() computes the first quarter of the evaluations in a row and spreads the others", () => {
  assertEquals(evenStart({ steps: 20, evaluations: 8 }), [0, 1, 2, 5, 8, 11, 14, 17]);
  assertEquals(evenStart({ steps: 5, evaluations: 1 }), [0]);
  assertEquals(evenStart({ steps: 4, evaluations: 4 }), [0, 1, 2, 3]);
});

Deno.test("budcache's plan computes so many steps, and leaves the error of latents that it says", async () => {
  const model = new URL("../../golden/dit-a/", import.meta.url);
  const pipeline = await openPipeline({ model, backend: "wasm" });
  try {
    const policy = "budcache:evaluations=3,iterations=8,seed=3";
    const plan = await calibrate(pipeline, { policy, runs: 1, steps: 8 });
    const texts = plan.rows.map(([row]) => row!.text);
    assertEquals([texts.filter((text) => text === "......").length, texts[0]], [3, "......"]);
    assertEquals(texts.filter((text) => text === "+").length, 5);
    const { conditions: labels, seeds, thresholds: { error, tried } } = plan.calibration!;
    const asked = { labels, seeds, steps: 8, output: "latents" } as const;
    const { latents: { data: full } } = await pipeline.generate({ ...asked, plan: "none" });
    const { latents: { data: planned } } = await pipeline.generate({ ...asked, plan });
    const left = full.reduce((all, value, i) => all + (value - planned[i]!) ** 2, 0);
    assertAlmostEquals(error!, left / full.reduce((all, value) => all + value ** 2, 0), 1e-9);
    assert(tried! > 5);
    await assertRejects(
      () => calibrate(pipeline, { policy: "budcache", runs: 1, steps: 9 }),
      RangeError,
      "evaluations of budcache must be at most 9, the number of steps: current value is 10",
    );
  } finally {
    await pipeline.close();
  }
});
