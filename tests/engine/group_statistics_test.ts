import { assert, assertEquals } from "@std/assert";
import { Statistics } from "../../src/engine/group_statistics.ts";
import { tensor } from "../../src/tensor/tensor.ts";

Deno.test("Statistics of parts are those of the whole, however many numbers each has", () => {
  const statistics = new Statistics();
  statistics.addPart("norm", tensor([1, 2, 1, 3], Float32Array.of(1, 2, 3, 10, 10, 10)), 2);
  statistics.addPart("norm", tensor([1, 2, 1, 1], Float32Array.of(6, 14)), 2);
  assertEquals(statistics.get("norm"), tensor([2, 2, 1], Float32Array.of(3, 11, 3.5, 3)));
  assertEquals(statistics.get("other"), undefined);
});

Deno.test("Statistics keep a small variance around a large mean", () => {
  const statistics = new Statistics();
  const data = Float32Array.from({ length: 4096 }, (_, i) => 1000 + (i % 2));
  statistics.addPart("norm", tensor([1, 1, 64, 64], data), 1);
  const { data: [mean, variance] } = statistics.get("norm")!; // just added
  assertEquals(mean, 1000.5);
  assert(Math.abs(variance! - 0.25) < 1e-4); // float32 mean and variance are put together
});
