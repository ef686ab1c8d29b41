import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { linearSchedule, trainedAlphaBars } from "../../src/sampler/noise_schedule.ts";
import { mixedTimes, scheduleAt } from "../../src/sampler/real_times.ts";
import { spacedSchedule } from "../../src/sampler/spaced_schedule.ts";

Deno.test("scheduleAt() at whole times has the alphas of training", () => {
  for (const steps of [1, 7, 50]) {
    const { times, alphaBars, alphaBarsNext } = linearSchedule(steps);
    const found = scheduleAt(times);
    // The original multiplies ratios of trained alphas: the same numbers but for rounding.
    found.alphaBars.forEach((value, i) => assertAlmostEquals(value, alphaBars[i]!, 1e-13));
    found.alphaBarsNext.forEach((value, i) => assertAlmostEquals(value, alphaBarsNext[i]!, 1e-13));
  }
  const betas = { first: 0.0001, last: 0.02, curve: "linear" } as const;
  const spacing = { kind: "trailing", offset: 0, endsAtOne: false, betas } as const;
  const spaced = spacedSchedule(10, spacing);
  const { alphaBars, alphaBarsNext } = scheduleAt(spaced.times, spacing);
  assertEquals(alphaBars, spaced.alphaBars);
  assertEquals(alphaBarsNext, spaced.alphaBarsNext);
});

Deno.test("scheduleAt() puts the log-SNR of a time straight between those of its neighbours", () => {
  const logit = (alphaBar: number): number => Math.log(alphaBar / (1 - alphaBar));
  const trained = trainedAlphaBars();
  fc.assert(
    fc.property(fc.nat({ max: 998 }), fc.double({ min: 0, max: 1, noNaN: true }), (below, part) => {
      const [alphaBar = 0] = scheduleAt([below + part]).alphaBars;
      const straight = (1 - part) * logit(trained[below]!) + part * logit(trained[below + 1]!);
      assertAlmostEquals(logit(alphaBar), straight, 1e-9); // times near 999 have fewer digits after the point
    }),
  );
});

Deno.test("scheduleAt() refuses times that are none, outside of training, or not falling", () => {
  for (
    const [times, wrong] of [
      [[], "none"],
      [[999.5], "999.5 at step 0"],
      [[10, -0.5], "-0.5 at step 1"],
      [[10, 10], "10 at step 1"],
      [[NaN], "NaN at step 0"],
    ] as const
  ) {
    assertThrows(
      () => scheduleAt(times),
      RangeError,
      `times must fall from at most 999 to at least 0: current value is ${wrong}`,
    );
  }
});

Deno.test("mixedTimes() fall from 999 to 0, half-way between even times and even log-SNR", () => {
  const logit = (alphaBar: number): number => Math.log(alphaBar / (1 - alphaBar));
  assertEquals(mixedTimes(2), [999, 0]);
  for (const count of [3, 50, 200]) {
    const times = mixedTimes(count);
    assertEquals([times.length, times[0], times.at(-1)], [count, 999, 0]);
    const spread = times.map((time, i) => 2 * time - 999 * (1 - i / (count - 1)));
    const logits = scheduleAt(spread.slice(1, -1)).alphaBars.map(logit);
    const [first, last] = scheduleAt([999, 0]).alphaBars.map(logit);
    logits.forEach((value, i) => {
      assertAlmostEquals(value, first! + (last! - first!) * (i + 1) / (count - 1), 1e-6);
    });
    scheduleAt(times); // falls
  }
});
