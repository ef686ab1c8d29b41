import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { latentPsnr, psnr } from "../../src/image/psnr.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

function rows(...numbers: readonly (readonly number[])[]): Tensor {
  const [first = []] = numbers;
  return { dims: [numbers.length, first.length], data: Float32Array.from(numbers.flat()) };
}

Deno.test("psnr() is of each picture, over the whole range from black to white", () => {
  const reference = rows([0, 0.5], [-1, 1]);
  const found = psnr(rows([0.1, 0.5], [-1, 0]), reference);
  assertAlmostEquals(found[0]!, 10 * Math.log10(4 / (0.01 / 2)), 1e-5);
  assertAlmostEquals(found[1]!, 10 * Math.log10(4 / (1 / 2)), 1e-5);
});

Deno.test("psnr() does not see what is beyond black and white, on either side", () => {
  assertEquals(psnr(rows([-3, 1.5]), rows([-1, 2])), [100]);
  assertEquals(psnr(rows([-3, 0.5]), rows([-9, 1])), psnr(rows([-1, 0.5]), rows([-1, 1])));
});

Deno.test("latentPsnr() is over the range of the reference", () => {
  const [found] = latentPsnr(rows([0, 4, 8]), rows([0, 3, 8]));
  assertAlmostEquals(found!, 10 * Math.log10(64 / (1 / 3)), 1e-5);
});

Deno.test("psnr() refuses other shapes", () => {
  assertThrows(() => psnr(rows([1]), rows([1, 1])), RangeError, "shape must be [1,2]");
});
