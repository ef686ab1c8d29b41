/** DPCache's paths, held against all there are, and what its stretches cost. */

import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { calibrate, openPipeline } from "../../../mod.ts";
import {
  cheapestPath,
  type StretchCost,
  stretchCost,
} from "../../../src/calibrate/policies/dpcache.ts";
import { powers, taylorForecast } from "../../../src/calibrate/policies/taylorseer.ts";

/** Every way to compute so many of the steps, the first among them. */
function* pathsOf(steps: number, evaluations: number, path = [0]): Generator<readonly number[]> {
  if (path.length === evaluations) return yield path;
  for (let to = path.at(-1)! + 1; to < steps; to++) {
    yield* pathsOf(steps, evaluations, [...path, to]);
  }
}

function costOf(path: readonly number[], steps: number, cost: StretchCost): number {
  return path.reduce((sum, from, i) => sum + cost(path[i - 1], from, path[i + 1] ?? steps), 0);
}

const anyTask = fc.tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 }))
  .map(([steps, evaluations]) => ({ steps, evaluations: Math.min(steps, evaluations) }));

Deno.test("cheapestPath() is as cheap as the best of all paths, whatever stretches cost", () => {
  fc.assert(fc.property(anyTask, fc.nat(), ({ steps, evaluations }, salt) => {
    // Costs without any order; many are equal.
    const cost: StretchCost = (before = -1, from, to) =>
      Math.abs(Math.imul((before + 2) * 961 + from * 31 + to + salt, 0x9e3779b1) >> 24);
    const found = cheapestPath({ steps, evaluations, cost });
    const all = [...pathsOf(steps, evaluations)].map((path) => costOf(path, steps, cost));
    assertEquals(found.cost, Math.min(...all));
    assertEquals(costOf(found.path, steps, cost), found.cost);
    assertEquals([found.path.length, found.path[0]], [evaluations, 0]);
    assertEquals(cheapestPath({ steps, evaluations, cost }), found);
  }));
});

Deno.test("a path is looked for: what is cheapest from step to step is not taken where it costs more later", () => {
  // 0 → 1 is free, but a stretch whose step before is 0 and which begins at 1 is dear.
  const cost: StretchCost = (before, from, to) =>
    from === 0 ? to - 1 : before === 0 && from === 1 ? 100 : 0;
  assertEquals(cheapestPath({ steps: 6, evaluations: 2, cost }), { path: [0, 2], cost: 1 });
});

Deno.test("stretchCost() is what TaylorSeer's forecasts of order 1 miss, as root mean squares", () => {
  const outputs = Array.from(
    { length: 7 },
    (_, t) => Float32Array.from({ length: 24 }, (_, i) => Math.sin(t * t * 0.2 + i) + 0.3 * t),
  );
  const cost = stretchCost(outputs);
  for (const path of pathsOf(7, 3)) {
    const computed = outputs.map((_, step) => path.includes(step));
    const forecast = taylorForecast(computed, (distance) => powers(distance, 1));
    let missed = 0;
    for (const [step, output] of outputs.entries()) {
      if (computed[step]) continue;
      const sources = path.filter((source) => source < step).toReversed();
      const weights = forecast(step);
      const squares = output.reduce((all, value, i) => {
        const made = weights.reduce((sum, w, j) => sum + w * outputs[sources[j]!]![i]!, 0);
        return all + (value - made) ** 2;
      }, 0);
      missed += Math.sqrt(squares / output.length);
    }
    assertAlmostEquals(costOf(path, 7, cost), missed, 1e-6);
  }
});

Deno.test("nothing is missed of outputs on a line once two steps are computed", () => {
  const outputs = Array.from({ length: 8 }, (_, t) => Float32Array.of(2 * t - 3, 5 - t, 7));
  const { path, cost } = cheapestPath({ steps: 8, evaluations: 2, cost: stretchCost(outputs) });
  assertEquals(path, [0, 1]);
  assertAlmostEquals(cost, 0, 1e-6);
});

Deno.test("dpcache's plan computes so many steps and forecasts the others", async () => {
  const model = new URL("../../golden/dit-a/", import.meta.url);
  const pipeline = await openPipeline({ model, backend: "wasm" });
  try {
    const ask = { policy: "dpcache:evaluations=4", runs: 1, steps: 9 };
    const plan = await calibrate(pipeline, ask);
    const texts = plan.rows.map(([row]) => row!.text);
    assertEquals(texts.filter((text) => text === "......").length, 4);
    assertEquals(texts.filter((text) => text === "~").length, 5);
    assert(plan.calibration!.thresholds["cost"]! > 0);
    await assertRejects(
      () => calibrate(pipeline, { ...ask, policy: "dpcache" }),
      RangeError,
      "evaluations of dpcache must be at most 9, the number of steps: current value is 10",
    );
  } finally {
    await pipeline.close();
  }
});
