import { assertEquals, assertThrows } from "@std/assert";
import { placeFullSteps } from "../../../src/calibrate/search/placement.ts";

/** Errors that grow with the distance of reuse and fade with the step, as real ones do. */
function errorsOf(steps: number, longest: number): number[][] {
  return Array.from({ length: steps }, (_, i) => {
    const row: number[] = [];
    for (let j = i + 1; j <= Math.min(steps - 1, i + longest); j++) {
      row[j] = (j - i) * (1 + Math.sin(3 * i + j) ** 2) / (1 + j);
    }
    return row;
  });
}

/** The same sum over every placement there is. */
function bruteForce(final: readonly (readonly number[])[], steps: number, count: number): number {
  let least = Infinity;
  const place = (placed: readonly number[]): void => {
    if (placed.length === count) {
      least = Math.min(least, costOf(final, steps, placed));
      return;
    }
    for (let next = placed.at(-1)! + 1; next < steps; next++) place([...placed, next]);
  };
  place([0]);
  return least;
}

function costOf(
  final: readonly (readonly number[])[],
  steps: number,
  placed: readonly number[],
): number {
  return placed.reduce((sum, last, k) => {
    const end = placed[k + 1] ?? steps;
    let error = 0;
    for (let j = last + 1; j < end; j++) error += final[last]![j] ?? Infinity;
    return sum + error ** 2;
  }, 0);
}

Deno.test("placeFullSteps() finds the least sum that any placement has", () => {
  const steps = 12;
  const final = errorsOf(steps, 5);
  for (const count of [3, 4, 6, 11]) {
    const placed = placeFullSteps({ final, longest: 5 }, steps, count);
    assertEquals(placed.length, count);
    assertEquals(placed[0], 0);
    assertEquals(costOf(final, steps, placed), bruteForce(final, steps, count));
  }
});

Deno.test("placeFullSteps() runs every step when all may run", () => {
  const placed = placeFullSteps({ final: errorsOf(6, 5), longest: 5 }, 6, 6);
  assertEquals(placed, [0, 1, 2, 3, 4, 5]);
});

Deno.test("placeFullSteps() refuses fewer full steps than the longest reuse can bridge", () => {
  assertThrows(
    () => placeFullSteps({ final: errorsOf(12, 2), longest: 2 }, 12, 3),
    RangeError,
    "at least 4 and at most 12: current value is 3",
  );
});
