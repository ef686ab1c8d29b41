import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { median } from "../../src/calibrate/median.ts";

Deno.test("median() has as many values above as below, in any order", () => {
  const values = fc.array(fc.double({ noNaN: true, min: -1e9, max: 1e9 }), { minLength: 1 });
  fc.assert(fc.property(values, (given) => {
    const middle = median(given);
    const above = given.filter((value) => value > middle).length;
    const below = given.filter((value) => value < middle).length;
    assert(above <= given.length / 2 && below <= given.length / 2);
    assert(median(given.toReversed()) === middle); // 0 and −0 are one value
  }));
  assertEquals([median([3]), median([4, 1]), median([9, 1, 2])], [3, 2.5, 2]);
});
