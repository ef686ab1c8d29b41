import { assert, assertEquals } from "@std/assert";
import { Statistics } from "../../../src/engine/decode/group_statistics.ts";
import type { Rows } from "../../../src/engine/decode/row_store.ts";
import { tensor } from "../../tensor/checked_tensor.ts";

/** One row of a picture whose channels are these. */
function rowOf(...channels: readonly (readonly number[])[]): Rows {
  const data = Float32Array.from(channels.flat());
  return { tensor: tensor([1, channels.length, 1, channels[0]!.length], data), first: 0, count: 1 };
}

Deno.test("Statistics of parts are those of the whole, however many numbers each has", () => {
  const statistics = new Statistics();
  statistics.addRows("norm", rowOf([1, 2, 3], [10, 10, 10]), 2);
  statistics.addRows("norm", rowOf([6], [14]), 2);
  assertEquals(statistics.get("norm"), tensor([2, 2, 1], Float32Array.of(3, 11, 3.5, 3)));
  assertEquals(statistics.get("other"), undefined);
});

Deno.test("Statistics put channels of a group together and leave out rows that do not count", () => {
  const statistics = new Statistics();
  const data = Float32Array.of(99, 1, 2, 99, 3, 6, 99, 7, 7, 99, 7, 7);
  const rows = { tensor: tensor([1, 4, 3, 1], data), first: 1, count: 2 };
  statistics.addRows("norm", rows, 2);
  assertEquals(statistics.get("norm"), tensor([2, 2, 1], Float32Array.of(3, 7, 3.5, 0)));
});

Deno.test("Statistics that parts measured weigh as their pixels", () => {
  const statistics = new Statistics();
  statistics.add("norm", tensor([2, 1, 1], Float32Array.of(2, 2 / 3)), 3);
  statistics.add("norm", tensor([2, 1, 1], Float32Array.of(6, 0)), 1);
  assertEquals(statistics.get("norm"), tensor([2, 1, 1], Float32Array.of(3, 3.5)));
});

Deno.test("Statistics keep a small variance around a large mean", () => {
  const statistics = new Statistics();
  const row = Array.from({ length: 4096 }, (_, i) => 1000 + (i % 2));
  statistics.addRows("norm", rowOf(row), 1);
  const { data: [mean, variance] } = statistics.get("norm")!; // just added
  assertEquals(mean, 1000.5);
  assert(Math.abs(variance! - 0.25) < 1e-6); // float64 squares of 1e6 round by 1e-10
});
