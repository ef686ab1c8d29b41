import { assertEquals, assertThrows } from "@std/assert";
import { contactSheet } from "../../src/cli/contact_sheet.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

/** Pictures of 128 × 128, which are not enlarged. */
function plain(...values: readonly number[]): Tensor {
  const data = new Float32Array(values.length * 128 * 128);
  values.forEach((value, i) => data.fill(value, i * 128 * 128, (i + 1) * 128 * 128));
  return { dims: [values.length, 1, 128, 128], data };
}

Deno.test("contactSheet() lays out full, plan and amplified difference for each picture", () => {
  const { width, height, pixels } = contactSheet(plain(-1, 1), plain(1, 0.75));
  assertEquals([width, height], [3 * 132 - 4, 2 * 132 - 4]);
  const at = (column: number, row: number): number => pixels[row * 132 * width + column * 132]!;
  assertEquals([at(0, 0), at(1, 0), at(2, 0)], [0, 255, 255]); // a difference of 2 is cut at white
  assertEquals([at(0, 1), at(1, 1), at(2, 1)], [255, 223, 128]); // 0.25 × 4 is half of the range
});

Deno.test("contactSheet() puts more triples side by side when there are many", () => {
  const values = Array.from({ length: 16 }, () => 0);
  const { width, height } = contactSheet(plain(...values), plain(...values));
  assertEquals([width, height], [6 * 132 - 4, 8 * 132 - 4]);
});

Deno.test("contactSheet() refuses latents that are not pixels", () => {
  const latents = { dims: [1, 4, 2, 2], data: new Float32Array(16) };
  assertThrows(() => contactSheet(latents, latents), RangeError, "must be decoded first");
});
