import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { ssim as oracle } from "ssim.js";
import { ssim } from "../../src/image/ssim.ts";
import { normalNoise } from "../../src/tensor/random.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

Deno.test("ssim() of 8-bit pictures is that of ssim.js", () => {
  for (const [height, width, noise] of [[32, 32, 10], [11, 17, 40], [24, 12, 90]] as const) {
    const reference = grey(height, width, 1, 60);
    reference.data.set([0, 255]); // the full range, which ssim.js takes for granted
    const other = {
      ...reference,
      data: grey(height, width, 2, noise).data.map((value, i) =>
        clamp(Math.round(value - 128 + reference.data[i]!))
      ),
    };
    const { mssim } = oracle(pixelsOf(reference), pixelsOf(other), {
      ssim: "original", // Wang et al.; the default is an approximation
      rgb2grayVersion: "integer", // exact for grey
    });
    assertAlmostEquals(ssim(other, reference)[0]!, mssim, 1e-9); // both in float64
  }
});

Deno.test("ssim() is 1 for equal rows, less for others, and looks at each row by itself", () => {
  const { data } = grey(32, 32, 3, 60);
  const two = (a: Float32Array, b: Float32Array): Tensor => ({
    dims: [2, 1, 32, 32],
    data: Float32Array.of(...a, ...b),
  });
  const [same, inverse] = ssim(two(data, data.map((x) => 255 - x)), two(data, data));
  assertAlmostEquals(same!, 1, 1e-12); // rounding of float64
  assert(inverse! < 0);
});

Deno.test("ssim() does not depend on scale, and takes the mean over channels", () => {
  const [a, b] = [grey(16, 16, 4, 60), grey(16, 16, 5, 60)];
  const [value] = ssim(a, b);
  const half = ({ dims, data }: Tensor): Tensor => ({ dims, data: data.map((x) => x / 2) });
  assertAlmostEquals(ssim(half(a), half(b))[0]!, value!, 1e-12); // powers of two are exact
  const twice = ({ data }: Tensor): Tensor => ({
    dims: [1, 2, 16, 16],
    data: Float32Array.of(...data, ...data),
  });
  assertAlmostEquals(ssim(twice(a), twice(b))[0]!, value!, 1e-12);
});

Deno.test("ssim() has a value for small and for plain planes", () => {
  const small = (...data: number[]): Tensor => ({
    dims: [1, 1, 2, 2],
    data: Float32Array.from(data),
  });
  assertEquals(ssim(small(1, 1, 1, 1), small(1, 1, 1, 1)), [1]);
  assert(ssim(small(0, 0, 0, 1), small(0, 0, 0, 0))[0]! < 1);
  assert(ssim(small(1, 2, 3, 5), small(1, 2, 3, 4))[0]! < 1);
});

Deno.test("ssim() refuses other shapes", () => {
  const a = grey(12, 12, 1, 9);
  assertThrows(() => ssim(a, grey(12, 13, 1, 9)), RangeError, "shape must be");
  assertThrows(() => ssim({ ...a, dims: [12, 12] }, { ...a, dims: [12, 12] }), RangeError);
});

/** Grey noise about the middle, whole numbers 0 … 255. */
function grey(height: number, width: number, seed: number, spread: number): Tensor {
  const { data } = normalNoise([1, height, width], seed);
  return {
    dims: [1, 1, height, width],
    data: data.map((value) => clamp(Math.round(128 + spread * value))),
  };
}

function clamp(value: number): number {
  return Math.min(255, Math.max(0, value));
}

/** RGBA, as browsers have it. */
function pixelsOf({ dims: [, , height = 0, width = 0], data }: Tensor): {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray;
} {
  return {
    width,
    height,
    data: Uint8ClampedArray.from([...data].flatMap((value) => [value, value, value, 255])),
  };
}
