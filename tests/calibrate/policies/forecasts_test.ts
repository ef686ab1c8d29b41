/** Policies that forecast outputs of the model, by their weights. */

import { assert, assertAlmostEquals, assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import { lagrangeForecast } from "../../../src/calibrate/policies/adams_bashforth.ts";
import {
  atIntervals,
  computedBefore,
  type Forecast,
  forecastPlan,
} from "../../../src/calibrate/policies/forecast_plan.ts";
import { hermiteTerms } from "../../../src/calibrate/policies/hicache.ts";
import {
  L2P,
  learnWeights,
  multipliedOut,
  scheduledSteps,
} from "../../../src/calibrate/policies/l2p.ts";
import { powers, taylorForecast } from "../../../src/calibrate/policies/taylorseer.ts";
import { calibrate } from "../../../src/calibrate/mod.ts";
import { evenRow } from "../../../src/plan/row.ts";
import { openPipeline } from "../../../mod.ts";
import { PlanError } from "../../../src/errors.ts";
import { policyFile, readFor } from "./policy_file.ts";

function stepsOf(computed: readonly boolean[]): readonly number[] {
  return computed.flatMap((each, step) => each ? [step] : []);
}

/** What weights forecast where the output of each step is this. */
function forecastOf(
  forecast: Forecast,
  computed: readonly boolean[],
  { step, output }: { readonly step: number; readonly output: (step: number) => number },
): number {
  const sources = computedBefore(computed, step);
  return forecast(step).reduce((all, weight, i) => all + weight * output(sources[i]!), 0);
}

/** Which steps of a run are computed: the first, and others at any distance. */
const anySteps = fc.array(fc.boolean(), { minLength: 4, maxLength: 14 })
  .map((computed) => [true, ...computed, false]);
const anyPolynomial = fc.array(fc.integer({ min: -9, max: 9 }), { minLength: 4, maxLength: 4 });

function valueOf(coefficients: readonly number[], degree: number): (step: number) => number {
  return (step) =>
    coefficients.slice(0, degree + 1).reduce((all, c, power) => all + c * step ** power, 0);
}

Deno.test("atIntervals() computes the steps that TaylorSeer's code computes, and diffusers'", () => {
  assertEquals(stepsOf(atIntervals(15, { first: 2, interval: 4 })), [0, 1, 5, 9, 13]);
  assertEquals(stepsOf(atIntervals(15, { first: 3, interval: 5, next: 2 })), [0, 1, 2, 4, 9, 14]);
  assertEquals(stepsOf(atIntervals(5, { first: 1, interval: 1 })), [0, 1, 2, 3, 4]);
  assertEquals(stepsOf(atIntervals(3, { first: 9, interval: 2 })), [0, 1, 2]);
});

Deno.test("Lagrange's weights one step apart are those of Adams and Bashforth", () => {
  const computed = [true, true, true, true, false];
  assertEquals(lagrangeForecast(computed, 1)(4), [1]);
  assertEquals(lagrangeForecast(computed, 2)(4), [2, -1]);
  assertEquals(lagrangeForecast(computed, 3)(4), [3, -3, 1]);
  assertEquals(lagrangeForecast(computed, 4)(4), [4, -6, 4, -1]);
  assertEquals(lagrangeForecast([true, false, true, false], 2)(3), [1.5, -0.5]);
});

Deno.test("Lagrange's weights are exact on polynomials of their order at any distances", () => {
  fc.assert(
    fc.property(
      anySteps,
      anyPolynomial,
      fc.integer({ min: 1, max: 4 }),
      (computed, numbers, outputs) => {
        const step = computed.length - 1;
        const degree = Math.min(outputs, computedBefore(computed, step).length) - 1;
        const output = valueOf(numbers, degree);
        const made = forecastOf(lagrangeForecast(computed, outputs), computed, { step, output });
        assertAlmostEquals(made, output(step), 1e-6);
      },
    ),
  );
});

Deno.test("taylorForecast() follows the published recursion on uneven steps, order by order", () => {
  const computed = [true, true, false, false, true, false];
  const [f0, f1, f4] = [3, 7, -2];
  const [first, later] = [(f1 - f0) / 1, (f4 - f1) / 3];
  const second = (later - first) / 3;
  const output = (step: number): number => [f0, f1, 0, 0, f4][step]!;
  const made = (order: number): number =>
    forecastOf(taylorForecast(computed, (k) => powers(k, order)), computed, { step: 5, output });
  assertEquals(made(0), f4);
  assertAlmostEquals(made(1), f4 + later);
  assertAlmostEquals(made(2), f4 + later + second / 2);
  assertAlmostEquals(made(3), made(2)); // three computed steps have no third difference
});

Deno.test("taylorForecast() of order 1 and more is exact on lines at any distances", () => {
  fc.assert(
    fc.property(
      anySteps,
      anyPolynomial,
      fc.integer({ min: 1, max: 3 }),
      (computed, numbers, order) => {
        const all = [true, ...computed];
        const step = all.length - 1;
        const output = valueOf(numbers, 1);
        const forecast = taylorForecast(all, (k) => powers(k, order));
        assertAlmostEquals(forecastOf(forecast, all, { step, output }), output(step), 1e-6);
      },
    ),
  );
});

Deno.test("HiCache's terms are those of Hermite's polynomials, and of order 1 at √½ those of Taylor", () => {
  const at = (k: number, scale: number): readonly number[] => hermiteTerms(k, { order: 3, scale });
  const [k, s] = [3, 0.5];
  const x = s * k;
  assertEquals(at(k, s), [
    1,
    s * 2 * x,
    s ** 2 * (4 * x ** 2 - 2) / 2,
    s ** 3 * (8 * x ** 3 - 12 * x) / 6,
  ]);
  const [one, line] = hermiteTerms(k, { order: 1, scale: Math.SQRT1_2 });
  assertEquals(one, 1);
  assertAlmostEquals(line!, 3);
  assertEquals(hermiteTerms(k, { order: 0, scale: s }), [1]);
});

Deno.test("HiCache is exact on constants whatever its scale", () => {
  const scale = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(fc.property(anySteps, scale, fc.nat(4), (computed, scale, order) => {
    const step = computed.length - 1;
    const forecast = taylorForecast(computed, (k) => hermiteTerms(k, { order, scale }));
    assertAlmostEquals(forecastOf(forecast, computed, { step, output: () => 5 }), 5, 1e-6);
  }));
});

Deno.test("scheduledSteps() has L2P's schedules of 50 steps, and keeps their proportions otherwise", () => {
  assertEquals(stepsOf(scheduledSteps(50, 5)), [0, 1, 2, 4, 6, 9, 14, 23, 30, 37, 44]);
  assertEquals(stepsOf(scheduledSteps(50, 16)), [0, 1, 2, 4, 16, 32]);
  assertEquals(stepsOf(scheduledSteps(28, 5)), [0, 1, 2, 3, 5, 8, 13, 17, 21, 25]);
  assertThrows(
    () => scheduledSteps(50, 9),
    RangeError,
    "interval of l2p must be one of 5, 6, 7, 8, 10, 16",
  );
});

Deno.test("multipliedOut() weighs computed outputs as published first weights weigh them and their forecasts", () => {
  const matrix = [[0.7054, 0, 0, 0], [0.052, 0.8737, 0, 0], [0.1, 0.2, 0.3, 0], [0, 0, 0, 0]];
  const two = multipliedOut([true, false, false, false], matrix);
  assertEquals(two(1), [0.7054]);
  assertAlmostEquals(two(2)[0]!, 0.052 + 0.8737 * 0.7054);
  assertAlmostEquals(two(3)[0]!, 0.1 + 0.2 * 0.7054 + 0.3 * two(2)[0]!);
  const some = multipliedOut([true, false, true, false], matrix);
  assertEquals(some(3).map((weight) => weight.toFixed(6)), [
    "0.300000",
    (0.1 + 0.2 * 0.7054).toFixed(6),
  ]);
});

Deno.test("learnWeights() finds the weights of outputs that are sums of earlier ones", () => {
  const random = (seed: number) =>
    Float32Array.from({ length: 64 }, (_, i) => Math.sin(seed + seed * i * i));
  const [a, b] = [random(1), random(2)];
  const outputs = [a, b, a.map((value, i) => 0.25 * value - 1.5 * b[i]!)];
  const [newer, older] = learnWeights(outputs, [1, 0], 2);
  assertAlmostEquals(newer!, -1.5, 1e-4); // the ridge takes a part in a million
  assertAlmostEquals(older!, 0.25, 1e-4);
});

Deno.test("l2p reads a weight.txt into a plan of its schedule, and refuses what is none", async () => {
  const square = (size: number, of: (t: number, j: number) => number): string =>
    Array.from(
      { length: size },
      (_, t) => Array.from({ length: size }, (_, j) => of(t, j).toExponential(18)).join(" "),
    ).join("\n");
  const read = (text: string, steps = 50) =>
    L2P.read!(policyFile({ text: () => Promise.resolve(text) }), { interval: 5 }, readFor(steps));
  const { rows, own } = await read(square(50, (t, j) => t === j ? 1 : 0) + "\n"); // the last output again
  assertEquals(rows.filter(({ text }) => text === "~").length, 39);
  const { forecast } = own!.columns!;
  assertEquals(forecast![3], [0, 1, 0, 0]);
  assertEquals(forecast![49], [0, 1, ...Array.from({ length: 10 }, () => 0)]);
  const wrong: readonly (readonly [string, string, number?])[] = [
    [square(50, () => 0), "weights must be 20 rows, one for each step: current value is 50", 20],
    [
      square(50, (t, j) => Number(j === t + 1)),
      "weight 1 of row 0 must be 0, for it weighs a later output",
    ],
    [
      square(50, (t) => t === 3 ? NaN : 0),
      "weight 0 of row 3 must be a number: current value is NaN",
    ],
    [square(50, () => 0).replace("\n", " "), "weights must be 50 rows"],
    [square(50, () => 0).replace(/ \S+\n/, "\n"), "row 0 must be 50 long: current value is 49"],
    ["", "weights must be 50 rows, one for each step: current value is 0"],
  ];
  for (const [text, message, steps] of wrong) {
    await assertRejects(() => read(text, steps), PlanError, message);
  }
  assert(rows.every(({ text }, step) => (text === "~") === (forecast![step] !== null)));
});

Deno.test("forecastPlan() forecasts outputs by steps that call no model, or features of all modules", () => {
  const computed = [true, true, false, true];
  const schedule = { times: [9, 6, 3, 0] };
  const plan = (of: "outputs" | "features") =>
    forecastPlan(computed, lagrangeForecast(computed, 2), { schedule, modules: 3, of });
  const outputs = plan("outputs");
  assertEquals(outputs.rows.map(({ text }) => text), ["...", "...", "~", "..."]);
  assertEquals(outputs.own, { ...schedule, columns: { forecast: [null, null, [0, 2, -1], null] } });
  const features = plan("features");
  assertEquals(features.rows.map(({ text }) => text), ["...", "...", "xxx", "..."]);
  assertEquals(features.own, { ...schedule, columns: { features: [null, null, [[2, -1]], null] } });
});

Deno.test("of order 0, features that are forecast are those of the last computed step", async () => {
  const model = new URL("../../golden/dit-a/", import.meta.url);
  const pipeline = await openPipeline({ model, backend: "wasm" });
  try {
    const policy = "taylorseer:of=1,order=0,first=1,interval=2";
    const plan = await calibrate(pipeline, { policy, runs: 1, steps: 6 });
    assertEquals(
      plan.rows.map(([row]) => row!.text),
      Array.from({ length: 6 }, (_, t) => t % 2 ? "xxxxxx" : "......"),
    );
    const { times } = plan.sampler;
    const { columns: _, reference: __, ...version1 } = plan;
    const rows = times.map((_, t) => [evenRow(t % 2 ? "reuse" : "run", 6)]);
    const asked = { label: 1, seed: 2, output: "latents" } as const;
    const { latents } = await pipeline.generate({ ...asked, plan });
    const reused = await pipeline.generate({ ...asked, plan: { ...version1, version: 1, rows } });
    assertEquals(latents, reused.latents);
  } finally {
    await pipeline.close();
  }
});
