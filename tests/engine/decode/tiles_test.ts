import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import * as tiles from "../../../src/engine/decode/tiles.ts";
import { zeros } from "../../../src/tensor/tensor.ts";
import { tensor } from "../../tensor/checked_tensor.ts";

const sides = fc.record({
  side: fc.integer({ min: 1, max: 400 }),
  overlap: fc.integer({ min: 1, max: 20 }),
  more: fc.integer({ min: 0, max: 60 }),
});

Deno.test("spansOf() covers a side with spans of one size, as long as a tile, sharing the overlap at least", () => {
  fc.assert(fc.property(sides, ({ side, overlap, more }) => {
    const tile = 2 * overlap + more;
    const spans = tiles.spansOf(side, { tile, overlap });
    assertEquals([spans[0]!.first, spans.at(-1)!.first + spans.at(-1)!.size], [0, side]);
    assertEquals(new Set(spans.map(({ size }) => size)).size, 1);
    assert(spans[0]!.size <= tile);
    spans.slice(1).forEach(({ first }, i) => {
      assert(spans[i]!.first + spans[i]!.size - first >= overlap); // of its neighbour before
    });
  }));
});

Deno.test("fadesOf() sums up to 1 everywhere and falls to its ends", () => {
  fc.assert(fc.property(sides, ({ side, overlap, more }) => {
    const spans = tiles.spansOf(side, { tile: 2 * overlap + more, overlap });
    const sums = new Float64Array(side);
    tiles.fadesOf(spans).forEach((fade, i) =>
      fade.forEach((share, x) => {
        assert(share > 0 && share <= 1);
        sums[spans[i]!.first + x]! += share;
      })
    );
    assert(sums.every((sum) => Math.abs(sum - 1) < 1e-6)); // float32 shares
  }));
});

Deno.test("fadesOf() is linear over what two tiles share", () => {
  const fades = tiles.fadesOf([{ first: 0, size: 6 }, { first: 4, size: 6 }]);
  assertEquals([...fades[0]!], [1, 1, 1, 1, 0.75, 0.25]);
  assertEquals([...fades[1]!], [0.25, 0.75, 1, 1, 1, 1]);
});

Deno.test("partsOf() lays parts side by side, none longer than asked", () => {
  assertEquals(tiles.partsOf(7, 3), [
    { first: 0, size: 2 },
    { first: 2, size: 2 },
    { first: 4, size: 3 },
  ]);
  assertEquals(tiles.partsOf(3, 3), [{ first: 0, size: 3 }]);
});

Deno.test("layTile() puts back what crop() cut, times its shares", () => {
  const picture = tensor([1, 2, 3, 4], Float32Array.from({ length: 24 }, (_, i) => i));
  const place = { rows: { first: 1, size: 2 }, columns: { first: 2, size: 2 } };
  const cut = tiles.crop(picture, place);
  assertEquals(cut, tensor([1, 2, 2, 2], Float32Array.of(6, 7, 10, 11, 18, 19, 22, 23)));
  const result = zeros([1, 2, 3, 4]);
  const shares = { rows: Float32Array.of(1, 0.5), columns: Float32Array.of(1, 2) };
  tiles.layTile(result, cut, { ...place, shares });
  const wanted = [0, 0, 0, 0, 0, 0, 6, 14, 0, 0, 5, 11, 0, 0, 0, 0, 0, 0, 18, 38, 0, 0, 11, 23];
  assertEquals([...result.data], wanted);
});

Deno.test("tilesOf() goes row by row", () => {
  const [a, b] = [{ first: 0, size: 1 }, { first: 1, size: 1 }];
  assertEquals(tiles.tilesOf([a, b], [a]), [{ rows: a, columns: a }, { rows: b, columns: a }]);
});
