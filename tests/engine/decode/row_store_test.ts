import { assertEquals } from "@std/assert";
import { RowStore } from "../../../src/engine/decode/row_store.ts";
import { tensor } from "../../tensor/checked_tensor.ts";

Deno.test("RowStore reads rows across the bands that they came in, wherever they lie in these", () => {
  const store = new RowStore();
  const first = tensor([1, 2, 1, 2], Float32Array.of(1, 2, 11, 12));
  const second = tensor([1, 2, 3, 2], Float32Array.of(3, 4, 5, 6, 0, 0, 13, 14, 15, 16, 0, 0));
  const third = tensor([1, 2, 2, 2], Float32Array.of(0, 0, 7, 8, 0, 0, 17, 18));
  store.append({ tensor: first, first: 0, count: 1 });
  store.append({ tensor: second, first: 0, count: 2 });
  store.append({ tensor: third, first: 1, count: 1 });
  assertEquals(store.height, 4);
  assertEquals(store.read(0, 2), tensor([1, 2, 2, 2], Float32Array.of(1, 2, 3, 4, 11, 12, 13, 14)));
  store.release(1);
  assertEquals([first.data.length, second.data.length], [0, 12]); // freed, and not
  assertEquals([store.height, store.bands.length], [4, 2]);
  const last = Float32Array.of(5, 6, 7, 8, 15, 16, 17, 18);
  assertEquals(store.read(2, 2), tensor([1, 2, 2, 2], last));
});
