import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  dequantize,
  quantizeBlocks,
  quantizeColumns,
  roundingError,
} from "../../src/tensor/quantize.ts";
import { normalNoise } from "../../src/tensor/random.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

function matrix(rows: readonly (readonly number[])[]): Tensor {
  return { dims: [rows.length, rows[0]!.length], data: Float32Array.from(rows.flat()) };
}

Deno.test("quantizeColumns() gives each output its own scale and lies inputs first", () => {
  const rounded = quantizeColumns(matrix([[127, -1, 0.4], [0.5, 0.25, -0.5]]));
  assertEquals(rounded.dims, [2, 3]);
  assertEquals([...rounded.scales], [1, Math.fround(0.5 / 127)]);
  assertEquals([...rounded.values], [127, 127, -1, 64, 0, -127]); // (in, out); 63.5 is rounded up
});

Deno.test("quantizeColumns() is off by half a scale at most, also where sizes differ wildly", () => {
  const weight = normalNoise([70, 33], 1); // no multiple of the tile
  weight.data.forEach((number, i) => weight.data[i] = number * 10 ** (Math.floor(i / 33) % 9 - 4));
  const rounded = quantizeColumns(weight);
  const back = dequantize(rounded).data;
  weight.data.forEach((number, i) => {
    const scale = rounded.scales[Math.floor(i / 33)]!;
    assert(Math.abs(number - back[i]!) <= 0.5001 * scale, `number ${i}`); // the product is float32
  });
});

Deno.test("rows of zeros and of subnormal numbers stay what they are, or nearly", () => {
  for (const quantize of [quantizeColumns, quantizeBlocks]) {
    const row = new Array<number>(32).fill(0);
    const back = dequantize(quantize(matrix([row, row.map(() => 1e-45)]))).data;
    assert(back.every((number) => Math.abs(number) <= 2e-43 && !Number.isNaN(number)));
    assert(back.subarray(0, 32).every((number) => number === 0));
  }
});

Deno.test("quantizeBlocks() puts two inputs in a byte, the first low, and the largest at −8", () => {
  const row = Array.from({ length: 32 }, (_, i) => i === 0 ? -8 : i === 1 ? 7 : i === 2 ? -3 : 0);
  const { values, scales } = quantizeBlocks(matrix([row]));
  assertEquals([...scales], [1]);
  assertEquals([...values.subarray(0, 3)], [0 | (15 << 4), 5 | (8 << 4), 8 | (8 << 4)]);
  const mirrored = quantizeBlocks(matrix([row.map((number) => -number)]));
  assertEquals([...mirrored.scales], [-1]);
  assertEquals([...mirrored.values], [...values]);
});

Deno.test("quantizeBlocks() is off by half a scale, by a whole one opposite to the largest", () => {
  const weight = normalNoise([5, 96], 2);
  const rounded = quantizeBlocks(weight);
  const back = dequantize(rounded).data;
  weight.data.forEach((number, i) => {
    const scale = rounded.scales[Math.floor(i / 32)]!;
    const cut = number / scale > 7; // +8 has no integer
    assert(Math.abs(number - back[i]!) <= Math.abs(scale) * (cut ? 1.001 : 0.5001), `number ${i}`);
  });
});

Deno.test("quantizeBlocks() refuses rows that blocks do not fill", () => {
  assertThrows(
    () => quantizeBlocks(matrix([[1, 2, 3]])),
    RangeError,
    "rows must be a multiple of 32 long: current value is 3",
  );
});

Deno.test("roundingError() of normal numbers is what theory says", () => {
  const weight = normalNoise([64, 768], 3);
  const error = roundingError(weight, quantizeColumns(weight));
  // A row's largest of 768 is 3.2 σ on average: 3.2 ÷ 127 ÷ √12 = 0.73 %.
  assert(error > 0.0065 && error < 0.0085, `${error}`);
  const blocks = roundingError(weight, quantizeBlocks(weight));
  // A block's largest of 32 is 2.07 σ: 2.07 ÷ 8 ÷ √12 = 7.5 %, and what is cut off beside it.
  assert(blocks > 0.07 && blocks < 0.1, `${blocks}`);
});

Deno.test("roundingError() shows that one giant input spoils all others", () => {
  const weight = normalNoise([64, 768], 3);
  for (let row = 0; row < 64; row++) weight.data[768 * row + 5] = 1000;
  // A scale is 1000 ÷ 127 = 7.9 σ: all but the giant become 0.
  const error = roundingError(weight, quantizeColumns(weight));
  assert(error > 0.99 && error < 1, `${error}`);
});
