import { assert, assertAlmostEquals, assertEquals, assertStringIncludes } from "@std/assert";
import fc from "fast-check";
import { policiesFigure } from "../../../scripts/bench/policies_figure.ts";
import {
  aboveCurve,
  bestAbout,
  bestTable,
  curveAt,
  curveTable,
  frontOf,
  type Placed,
  placed,
  policiesSection,
  worthTiming,
} from "../../../scripts/bench/policies_report.ts";
import type { Found } from "../../../scripts/bench/trade_off_figure.ts";

/** A way of two pictures, one 2 dB better than the other. */
function found(series: string, speedup: number, db: number, native?: number): Found {
  const variant = { series, name: `at=${speedup}`, speedup, steps: 50 };
  return { variant, psnrDb: [db - 1, db + 1], speedups: native === undefined ? {} : { native } };
}

const PLANS = [found("bundled plans", 2, 50, 1.9), found("bundled plans", 8, 30, 7)];
const FULL = found("ddim, all steps in full", 1, 40);
const ROWS: readonly Found[] = [
  FULL,
  ...PLANS,
  found("solver unipc:log-snr", 4, 33, 3.9),
  found("fora", 2, 35, 1.5),
  found("fora", 3, 33, 2.1),
  found("l2p", 4, 41, 4),
];

function placedAt(at: number, db: number): Placed {
  return { found: found("fora", at, db), at, isPredicted: false };
}

Deno.test("our curve is straight between plans over the logarithm of speed-ups, and ends with the fastest", () => {
  const plans = placed(PLANS, "predicted");
  assertEquals(curveAt(plans, 2), [49, 51]);
  assertEquals(curveAt(plans, 1.3), [49, 51]);
  assertEquals(curveAt(plans, 8.1), undefined);
  fc.assert(fc.property(fc.double({ min: 2, max: 8, noNaN: true }), (at) => {
    const [first, second] = curveAt(plans, at)!;
    assertAlmostEquals(first!, 49 - 20 * Math.log2(at / 2) / 2, 1e-9);
    assertAlmostEquals(second! - first!, 2, 1e-9);
  }));
});

Deno.test("what lies above our curve is told by pictures in pairs, nothing beyond it", () => {
  const plans = placed(PLANS, "predicted");
  const above = aboveCurve(plans, placedAt(4, 41))!;
  assertAlmostEquals(above.value, 1, 1e-9);
  assertAlmostEquals(above.low, 1, 1e-9); // each picture by as much
  assertEquals(aboveCurve(plans, placedAt(9, 41)), undefined);
});

Deno.test("of the settings of a policy the best about a speed-up is taken, none that is much slower or faster", () => {
  const ways = [placedAt(2.4, 40), placedAt(1.75, 41), placedAt(1.7, 44), placedAt(2.5, 30)];
  assertEquals(bestAbout(ways, 2), ways[1]);
  assertEquals(bestAbout(ways, 2.7), ways[0]);
  assertEquals(bestAbout(ways, 4), undefined);
});

Deno.test("tables have a row for each policy, by measured speed-ups where there are any", () => {
  const predicted = bestTable(placed(ROWS, "predicted"));
  assertStringIncludes(predicted, "| fora | 35.0 (34.0 – 36.0) dB<br>2.00×, at=2 |");
  assertStringIncludes(predicted, "| best solver | – | – | 33.0 (32.0 – 34.0) dB<br>4.00×, unipc");
  const native = bestTable(placed(ROWS, "native"));
  assertStringIncludes(native, "| fora | 33.0 (32.0 – 34.0) dB<br>2.10×, at=3 |");
  assert(!native.includes("in full"));
  const some = bestTable(placed([...ROWS, found("hicache", 2, 36)], "native"));
  assertStringIncludes(some, "| hicache | 36.0 (35.0 – 37.0) dB<br>≈ 2.00×, at=2 |");
  const curve = curveTable(ROWS);
  assertStringIncludes(curve, "| l2p | +");
  assertEquals(curve.split("\n").length, 5);
  const section = policiesSection(ROWS, { seed: 7 });
  assertStringIncludes(section, "2 pictures (seeds 7 – 8)");
  assertStringIncludes(section, "Speed-ups are measured, but for those with ≈");
  const none = ROWS.map((row) => ({ ...row, speedups: {} }));
  assertStringIncludes(policiesSection(none, { seed: 7 }), "none has been measured");
});

Deno.test("the figure has a panel for each model and backend, and a colour for each policy", () => {
  const svg = policiesFigure(new Map([["a", ROWS], ["b", []]]));
  assertStringIncludes(svg, "a, measured on native");
  assert(!svg.includes("b, "));
  for (const series of ["our plans", "best solver", "fora", "l2p"]) {
    assertEquals(svg.split(`>${series}</text>`).length, 2);
  }
  assert(!svg.includes("NaN"));
});

Deno.test("a line has the ways that none is both nearer and as fast as", () => {
  const ways = [placedAt(2, 40), placedAt(2.5, 41), placedAt(3, 41), placedAt(4, 30)];
  assertEquals(frontOf(ways), [ways[1]!, ways[2]!, ways[3]!]);
});

Deno.test("ways are timed that lead those of their own policy as predicted, none far beyond the tables", () => {
  const beaten = found("fora", 1.9, 34);
  assertEquals(worthTiming([...ROWS, beaten, found("fora", 20, 9)]), worthTiming(ROWS));
  assertEquals(new Set(worthTiming(ROWS)), new Set(ROWS));
});
