import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { type Axes, placeText, rearranged } from "../../../src/backend/gpu/axes.ts";
import { axesOf } from "../../../src/engine/device/ends.ts";

/** Sizes of a value's axes, and an order of them that leaves the first in front. */
const LAYOUTS = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 5 })
  .chain((dims) =>
    fc.shuffledSubarray(dims.map((_, i) => i).slice(1), { minLength: dims.length - 1 })
      .map((rest) => ({ dims, order: [0, ...rest] }))
  );

/** What WGSL computes: the only operators are those of whole numbers. */
function placeOf(index: number, axes: Axes): number {
  const words = placeText("i", axes).replaceAll("u", "").split(" + ");
  return words.reduce((sum, word) => {
    const [inside, size, stride] = [...word.matchAll(/\d+/g)].map(Number);
    return sum + Math.floor(index / inside!) % size! * stride!;
  }, 0);
}

Deno.test("numbers go where the shader looks for them, each to a place of its own", () => {
  fc.assert(fc.property(LAYOUTS, (layout) => {
    const axes = axesOf(layout, {})!;
    const count = layout.dims.reduce((product, size) => product * size, 1);
    const numbers = Float32Array.from({ length: count }, (_, i) => i + 1);
    const found = rearranged(numbers, axes);
    numbers.forEach((number, i) => assertEquals(found[placeOf(i, axes)], number));
    assertEquals(found.toSorted(), numbers.toSorted());
  }));
});

Deno.test("a transposed matrix is one", () => {
  const axes = axesOf({ dims: ["N", 2, 3], order: [0, 2, 1] }, { N: 1 });
  assertEquals([...rearranged(Float32Array.of(1, 2, 3, 4, 5, 6), axes)], [1, 4, 2, 5, 3, 6]);
});

Deno.test("numbers in their own order stay, in a copy", () => {
  const numbers = Float32Array.of(1, 2);
  const found = rearranged(numbers, undefined);
  assertEquals([[...found], found === numbers], [[1, 2], false]);
  assertEquals(placeText("p", undefined), "p");
});
