import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { pixelDifference, pixelPsnr, type Pixels, pixelsOf } from "../../src/page/pixels.ts";

function grey(...levels: readonly number[]): Pixels {
  const data = new Uint8ClampedArray(levels.flatMap((level) => [level, level, level, 255]));
  return { width: levels.length, height: 1, data };
}

Deno.test("pixelsOf() makes opaque RGBA of grey and of colour", () => {
  const one = pixelsOf({ dims: [1, 1, 1, 2], data: Float32Array.of(-1, 1) });
  assertEquals(one, {
    width: 2,
    height: 1,
    data: Uint8ClampedArray.of(0, 0, 0, 255, 255, 255, 255, 255),
  });
  const colour = pixelsOf({ dims: [1, 3, 1, 1], data: Float32Array.of(-1, 0, 1) });
  assertEquals([...colour.data], [0, 128, 255, 255]);
});

Deno.test("pixelPsnr() is 20 log10(255 / 5) for an error of 5 everywhere, infinite for none", () => {
  assertAlmostEquals(pixelPsnr(grey(10, 20), grey(15, 15)), 20 * Math.log10(255 / 5), 1e-9); // f64 arithmetic
  assertEquals(pixelPsnr(grey(10, 20), grey(10, 20)), Infinity);
});

Deno.test("pixelDifference() magnifies, clamps, and stays opaque", () => {
  const { data } = pixelDifference(grey(10, 200), grey(13, 100), 4);
  assertEquals([...data], [12, 12, 12, 255, 255, 255, 255, 255]);
});

Deno.test("pictures of different sizes are not compared", () => {
  assertThrows(() => pixelPsnr(grey(1), grey(1, 2)), RangeError, "size must be 1 x 1");
  assertThrows(() => pixelDifference(grey(1), grey(1, 2), 4), RangeError, "current value is 2 x 1");
});
