import { assertEquals, assertThrows } from "@std/assert";
import { elementCount, zeros } from "../../src/tensor/tensor.ts";
import { tensor } from "./checked_tensor.ts";

Deno.test("elementCount() is the product of the dimensions, and 1 for a scalar", () => {
  assertEquals([[], [3], [2, 3, 4], [5, 0]].map(elementCount), [1, 3, 24, 0]);
});

Deno.test("tensor() pairs dimensions with as many numbers", () => {
  const data = Float32Array.of(1, 2, 3, 4, 5, 6);
  assertEquals(tensor([2, 3], data), { dims: [2, 3], data });
});

Deno.test("tensor() refuses another count of numbers", () => {
  assertThrows(
    () => tensor([2, 3], new Float32Array(5)),
    RangeError,
    "Cannot make tensor [2,3]: its data must have 6 numbers: current value is 5",
  );
});

Deno.test("zeros() has the shape that was asked for and no other number", () => {
  assertEquals(zeros([2, 2]), { dims: [2, 2], data: Float32Array.of(0, 0, 0, 0) });
});
