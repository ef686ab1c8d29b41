import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import {
  advanceRate,
  averageRates,
  changeDistance,
  NO_FEATURES,
} from "../../../src/calibrate/reference/change_rate.ts";
import { changeRates } from "./change_rates.ts";

Deno.test("changeRates() is the next change over the last change, at the row in between", () => {
  const features = [0, 16, 32, 44, 50].map((value) => Float32Array.of(value, -value));
  assertEquals([...changeRates(features)], [1, 1, 0.75, 0.5, 1]);
});

Deno.test("changeRates() of fewer than three features has nothing but ones", () => {
  assertEquals([...changeRates([])], []);
  assertEquals([...changeRates([Float32Array.of(3)])], [1]);
  assertEquals([...changeRates([Float32Array.of(3), Float32Array.of(4)])], [1, 1]);
});

Deno.test("changeRates() follows the worked run of three reused rows", () => {
  const values = [1, 4, 9, 11, 18, 30, 31, 37];
  const [, f1, f2, f3, f4, f5, f6, f7] = values;
  const reused = [false, false, true, true, true, false, false, false];
  const rates = changeRates(values.map((value) => Float32Array.of(value)), reused);
  const wanted = [
    (f3! - f2!) / (f2! - f1!), // row 2 = k: the first reused row still advances
    (f4! - f3!) / (f3! - f2!),
    (f5! - f3!) / (f3! - f2!),
    (f6! - f3!) / (f3! - f2!), // row k+3 runs, its rate still sees the held reference
    (f7! - f6!) / (f6! - f3!),
  ];
  wanted.forEach((rate, i) => assertAlmostEquals(rates[2 + i]!, rate, 1e-6)); // float32
});

Deno.test("advanceRate() says when the new feature becomes the reference", () => {
  const reused = [false, true, true, true];
  const advances: boolean[] = [];
  let state = NO_FEATURES;
  for (const distance of [0, 1, 1, 1, 2]) {
    const update = advanceRate(state, distance, reused);
    advances.push(update.advances);
    state = update.state;
  }
  assertEquals(advances, [true, true, true, false, false]);
  assertEquals(state, { seen: 5, span: 1, held: true });
});

Deno.test("changeDistance() of equal features is 1e-8 per element, so that rates stay finite", () => {
  const same = new Float32Array(1000).fill(0.5);
  assertAlmostEquals(changeDistance(same, same), 1e-5, 1e-11);
  assertEquals([...changeRates([same, same, same, same])], [1, 1, 1, 1]);
});

Deno.test("changeDistance() refuses features of different lengths", () => {
  assertThrows(
    () => changeDistance(new Float32Array(3), new Float32Array(2)),
    RangeError,
    "length must be 2: current value is 3",
  );
});

Deno.test("averageRates() is the mean over runs, of one run that run", () => {
  const run = (...rows: number[][]) => rows.map((row) => Float32Array.from(row));
  const first = run([1, 1], [2, 4], [1, 1]);
  assertEquals(averageRates([first]), first);
  assertEquals(averageRates([first, run([1, 1], [1, 2], [1, 1])]), run([1, 1], [1.5, 3], [1, 1]));
  assertThrows(() => averageRates([]), RangeError, "runs must be at least 1");
  assertThrows(() => averageRates([first, run([1], [2], [1])]), RangeError, "must be 2,2,2");
});
