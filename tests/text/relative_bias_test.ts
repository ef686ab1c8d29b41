import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { openSafetensors } from "../../src/assets/formats/safetensors.ts";
import { openDirectory } from "../../src/assets/source.ts";
import { bucketOf, relativeBias } from "../../src/text/relative_bias.ts";

Deno.test("bucketOf() is transformers' at every distance, on the edges of buckets too", async () => {
  const folder = openDirectory(new URL("../golden/text/", import.meta.url));
  const file = await openSafetensors(folder, "buckets.safetensors");
  for (const name of file.tensors.keys()) {
    const [buckets = 0, maxDistance = 0] = name.split(".").map(Number);
    const wanted = await file.readIntegers(name); // of −300 … 300
    const found = wanted.map((_, i) => bucketOf(i - 300, { buckets, maxDistance }));
    assertEquals(found, wanted, name);
  }
});

Deno.test("buckets rise with the distance, and each is one of its direction", () => {
  const sizes = fc.record({
    quarter: fc.integer({ min: 1, max: 32 }),
    beyond: fc.integer({ min: 1, max: 500 }),
  });
  fc.assert(fc.property(sizes, fc.integer({ min: 0, max: 2000 }), ({ quarter, beyond }, away) => {
    const sizes = { buckets: 4 * quarter, maxDistance: quarter + beyond };
    const before = bucketOf(-away, sizes);
    const after = bucketOf(away, sizes);
    assertEquals(after, away === 0 ? before : before + 2 * quarter);
    assertEquals(before >= 0 && before < 2 * quarter, true);
    assertEquals(bucketOf(-away - 1, sizes) >= before, true);
  }));
});

Deno.test("relativeBias() looks up each head's number and hides pads from every query", () => {
  const table = { dims: [4, 2], data: Float32Array.of(0, 10, 1, 11, 2, 12, 3, 13) };
  const sizes = { buckets: 4, maxDistance: 2 };
  const { dims, data } = relativeBias({ ids: [5, 6], mask: [1, 0] }, table, sizes);
  assertEquals(dims, [1, 2, 2, 2]);
  assertEquals([...data], [0, 3 - 1e9, 1, -1e9, 10, 13 - 1e9, 11, 10 - 1e9].map(Math.fround));
});
