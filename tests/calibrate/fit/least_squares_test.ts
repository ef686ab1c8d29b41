import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  dot,
  leastSquares,
  normalEquations,
  squaredError,
} from "../../../src/calibrate/fit/least_squares.ts";
import { normalNoise } from "../../../src/tensor/random.ts";

const terms = (count: number): Float32Array[] =>
  Array.from({ length: count }, (_, i) => normalNoise([300], 7 + i).data);
const sumOf = (weights: readonly number[], all: readonly Float32Array[]): Float32Array =>
  Float32Array.from(all[0]!, (_, i) => weights.reduce((sum, w, k) => sum + w * all[k]![i]!, 0));

Deno.test("leastSquares() finds the weights that a sum was made with", () => {
  const weight = fc.integer({ min: -40, max: 40 }).map((value) => value / 8);
  fc.assert(fc.property(fc.array(weight, { minLength: 1, maxLength: 9 }), (weights) => {
    const all = terms(weights.length);
    const equations = normalEquations(all, sumOf(weights, all));
    leastSquares(equations, 0).forEach((found, i) => {
      assertAlmostEquals(found, weights[i]!, 1e-5); // the sum is float32
    });
  }));
});

Deno.test("squaredError() is that of the weighted sum, and no other weights have less", () => {
  const all = terms(4);
  const wanted = normalNoise([300], 99).data;
  const equations = normalEquations(all, wanted);
  const error = (weights: readonly number[]): number =>
    squaredError(equations, weights, dot(wanted, wanted));
  const best = leastSquares(equations, 0);
  const sum = sumOf(best, all);
  const direct = wanted.reduce((total, value, i) => total + (value - sum[i]!) ** 2, 0);
  assertAlmostEquals(error(best), direct, 1e-3); // the sum is float32
  for (const i of best.keys()) {
    for (const by of [-0.01, 0.01]) assert(error(best.with(i, best[i]! + by)) > error(best));
  }
});

Deno.test("leastSquares() gives finite weights to terms that say the same", () => {
  const [one] = terms(1);
  const equations = normalEquations([one!, one!], one!);
  const weights = leastSquares(equations, 1e-10);
  assert(weights.every(Number.isFinite));
  assertAlmostEquals(weights[0]! + weights[1]!, 1, 1e-5);
  assertEquals(weights.length, 2);
});
