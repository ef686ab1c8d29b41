import { assertEquals, assertThrows } from "@std/assert";
import type { Value } from "../../src/backend/backend.ts";
import { FeatureCache } from "../../src/engine/feature_cache.ts";

Deno.test("a cache keeps the latest results under a name, disposes of older ones, and counts bytes", () => {
  const alive = new Set<number>();
  const result = (id: number): readonly [Value] => {
    alive.add(id);
    return [{ dims: [id], byteLength: 4 * id, dispose: () => void alive.delete(id) }];
  };
  const cache = new FeatureCache();
  cache.store("x", result(1), 2);
  cache.store("x", result(2), 2);
  assertEquals([[...alive], cache.bytes], [[1, 2], 12]);
  assertEquals(cache.load("x", [[2]])[0]?.dims, [2]);
  assertEquals(cache.load("x", [[1]], 1)[0]?.dims, [1]);
  assertThrows(() => cache.load("x", [[1]], 2), Error, "x is loaded but was not stored");

  cache.store("x", result(3), 2); // 1 goes before 3 comes
  assertEquals([[...alive], cache.bytes, cache.peakBytes], [[2, 3], 20, 20]);
  cache.trim("x", 1);
  cache.trim("unknown", 0);
  assertEquals([[...alive], cache.bytes], [[3], 12]);

  cache.store("y", result(4));
  const [taken] = cache.take("y");
  assertEquals([taken?.dims, cache.take("y"), cache.bytes], [[4], [], 12]);
  cache.dispose();
  assertEquals([[...alive], cache.bytes], [[4], 0]);
});
