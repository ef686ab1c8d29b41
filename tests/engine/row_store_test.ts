import { assertEquals } from "@std/assert";
import { RowStore } from "../../src/engine/row_store.ts";
import { tensor } from "../../src/tensor/tensor.ts";

Deno.test("RowStore reads rows across the bands that they came in", () => {
  const store = new RowStore();
  store.append(tensor([1, 2, 1, 2], Float32Array.of(1, 2, 11, 12)));
  store.append(tensor([1, 2, 2, 2], Float32Array.of(3, 4, 5, 6, 13, 14, 15, 16)));
  assertEquals(store.height, 3);
  assertEquals(store.read(0, 2), tensor([1, 2, 2, 2], Float32Array.of(1, 2, 3, 4, 11, 12, 13, 14)));
  store.release(1);
  assertEquals(store.height, 3);
  assertEquals(store.read(2, 1), tensor([1, 2, 1, 2], Float32Array.of(5, 6, 15, 16)));
});
