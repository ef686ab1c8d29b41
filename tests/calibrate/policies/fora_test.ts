import { assertEquals } from "@std/assert";
import { countedDown } from "../../../src/calibrate/policies/fora.ts";

Deno.test("countedDown() computes the steps that FORA's code computes: the first, and every N-th from the last", () => {
  const stepsOf = (steps: number, interval: number): readonly number[] =>
    countedDown(steps, interval).flatMap((computed, step) => computed ? [step] : []);
  assertEquals(stepsOf(10, 3), [0, 3, 6, 9]);
  assertEquals(stepsOf(50, 3).slice(0, 4), [0, 1, 4, 7]); // the first stretch is shorter
  assertEquals(stepsOf(50, 3).length, 18);
  assertEquals(stepsOf(5, 1), [0, 1, 2, 3, 4]);
  assertEquals(stepsOf(5, 9), [0, 4]);
  assertEquals(stepsOf(1, 3), [0]);
});
