import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { joinRows, pickRows, placeRows, sliceRows } from "../../src/tensor/rows.ts";

const six = { dims: [3, 2], data: Float32Array.of(1, 2, 3, 4, 5, 6) };

Deno.test("joinRows() of slices is the whole", () => {
  assertEquals(sliceRows(six, 1, 2), { dims: [2, 2], data: Float32Array.of(3, 4, 5, 6) });
  assertEquals(joinRows([sliceRows(six, 0, 1), sliceRows(six, 1, 2)]), six);
});

Deno.test("sliceRows() copies", () => {
  sliceRows(six, 0, 3).data.fill(0);
  assertEquals(six.data[0], 1);
});

Deno.test("pickRows() takes rows in the order of their names, and placeRows() puts them where they were", () => {
  assertEquals(pickRows(six, [2, 0]), { dims: [2, 2], data: Float32Array.of(5, 6, 1, 2) });
  assertEquals(pickRows(six, []), { dims: [0, 2], data: new Float32Array() });
  const nines = { dims: [2, 2], data: Float32Array.of(9, 9, 8, 8) };
  assertEquals(placeRows(six, [2, 0], nines).data, Float32Array.of(8, 8, 3, 4, 9, 9));
  assertEquals(six.data[0], 1);
  const rows = fc.uniqueArray(fc.nat(5), { maxLength: 6 });
  fc.assert(
    fc.property(rows, fc.array(fc.integer(), { minLength: 18, maxLength: 18 }), (at, all) => {
      const whole = { dims: [6, 3], data: Float32Array.from(all) };
      const part = pickRows(whole, at);
      assertEquals(
        part,
        joinRows([pickRows(whole, []), ...at.map((row) => sliceRows(whole, row, 1))]),
      );
      assertEquals(
        placeRows(
          {
            ...whole,
            data: whole.data.map((x) => x + 1),
          },
          at,
          part,
        ).data,
        whole.data.map((x, i) => at.includes(Math.floor(i / 3)) ? x : x + 1),
      );
    }),
  );
});
