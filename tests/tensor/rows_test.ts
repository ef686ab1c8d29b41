import { assertEquals } from "@std/assert";
import { joinRows, sliceRows } from "../../src/tensor/rows.ts";

const six = { dims: [3, 2], data: Float32Array.of(1, 2, 3, 4, 5, 6) };

Deno.test("joinRows() of slices is the whole", () => {
  assertEquals(sliceRows(six, 1, 2), { dims: [2, 2], data: Float32Array.of(3, 4, 5, 6) });
  assertEquals(joinRows([sliceRows(six, 0, 1), sliceRows(six, 1, 2)]), six);
});

Deno.test("sliceRows() copies", () => {
  sliceRows(six, 0, 3).data.fill(0);
  assertEquals(six.data[0], 1);
});
