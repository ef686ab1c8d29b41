import { assertAlmostEquals, assertEquals } from "@std/assert";
import { TIME_WIDTH, timeFeatures } from "../../../src/model/blocks/time_features.ts";

Deno.test("timeFeatures() are cosines, then sines, of falling frequencies", () => {
  const half = TIME_WIDTH / 2;
  for (const time of [0, 1, 37, 500, 999]) {
    const features = timeFeatures(time);
    assertEquals(features.length, TIME_WIDTH);
    for (let k = 0; k < half; k++) {
      const argument = time * 10_000 ** (-k / half);
      // The exponent (up to 9.2), its power and the argument are float32: some 10 roundings of 6e-8 each.
      const tolerance = 1e-7 + 6e-7 * argument;
      assertAlmostEquals(features[k]!, Math.cos(argument), tolerance);
      assertAlmostEquals(features[half + k]!, Math.sin(argument), tolerance);
    }
  }
});

Deno.test("timeFeatures() at 0 are exactly ones and zeros", () => {
  const half = TIME_WIDTH / 2;
  const wanted = [...new Array<number>(half).fill(1), ...new Array<number>(half).fill(0)];
  assertEquals([...timeFeatures(0)], wanted);
});
