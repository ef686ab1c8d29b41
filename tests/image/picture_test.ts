import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { fullestColumns, type Picture, tileGrid, toPictures } from "../../src/image/picture.ts";
import { tensor } from "../tensor/checked_tensor.ts";

const red: Picture = { width: 2, height: 1, channels: 3, pixels: Uint8Array.of(9, 0, 0, 8, 0, 0) };

function grey(...pixels: number[]): Picture {
  return { width: pixels.length, height: 1, channels: 1, pixels: Uint8Array.from(pixels) };
}

Deno.test("toPictures() maps [-1, 1] to 0 to 255, clamps what is outside and rounds half up", () => {
  const values = Float32Array.of(-1, 1, 0, -7, 7, Infinity, -Infinity, 1 / 127.5 - 1);
  const [picture] = toPictures(tensor([1, 1, 2, 4], values));
  assertEquals(picture, {
    width: 4,
    height: 2,
    channels: 1,
    pixels: Uint8Array.of(0, 255, 128, 0, 255, 255, 0, 1),
  });
});

Deno.test("toPictures() gives every level back that it was made from", () => {
  const levels = Uint8Array.from({ length: 256 }, (_, i) => i);
  const values = Float32Array.from(levels, (level) => level / 127.5 - 1);
  assertEquals(toPictures(tensor([1, 1, 16, 16], values))[0]!.pixels, levels);
});

Deno.test("toPictures() interleaves three planes and separates the pictures of a batch", () => {
  const values = Float32Array.from([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], (v) => v / 127.5 - 1);
  assertEquals(
    toPictures(tensor([2, 3, 1, 2], values)).map((picture) => [...picture.pixels]),
    [[0, 2, 4, 1, 3, 5], [6, 8, 10, 7, 9, 11]],
  );
});

Deno.test("toPictures() says that other channels must be decoded, and by what", () => {
  const error = assertThrows(
    () => toPictures(tensor([1, 4, 1, 1], new Float32Array(4))),
    RangeError,
    "others must be decoded first",
  );
  assertEquals(error.message.includes("decode() of a pipeline"), true);
});

Deno.test("toPictures() refuses latents without four dimensions, and NaN", () => {
  assertThrows(() => toPictures(tensor([1, 1, 1], Float32Array.of(0))), RangeError, "(N, C, H, W)");
  assertThrows(() => toPictures(tensor([1, 1, 1, 1], Float32Array.of(NaN))), RangeError, "NaN");
});

Deno.test("tileGrid() lays pictures out in rows with white gaps and white empty cells", () => {
  const grid = tileGrid([grey(1, 2), grey(3, 4), grey(5, 6)], { columns: 2, scale: 1, gap: 1 });
  assertEquals([grid.width, grid.height, grid.channels], [5, 3, 1]);
  assertEquals([...grid.pixels], [
    ...[1, 2, 255, 3, 4],
    ...[255, 255, 255, 255, 255],
    ...[5, 6, 255, 255, 255],
  ]);
});

Deno.test("tileGrid() grows pixels to squares and keeps their colour", () => {
  const grid = tileGrid([red], { scale: 2 });
  assertEquals([grid.width, grid.height, grid.channels], [4, 2, 3]);
  const row = [9, 0, 0, 9, 0, 0, 8, 0, 0, 8, 0, 0];
  assertEquals([...grid.pixels], [...row, ...row]);
});

Deno.test("tileGrid() grows 32 x 32 pictures fourfold and leaves no empty cell for ten", () => {
  const stamp: Picture = { width: 32, height: 32, channels: 1, pixels: new Uint8Array(1024) };
  const grid = tileGrid(Array.from({ length: 10 }, () => stamp));
  assertEquals([grid.width, grid.height], [5 * 128 + 4 * 4, 2 * 128 + 4]);
  assertEquals([grid.columns, grid.scale], [5, 4]);
});

Deno.test("fullestColumns() leaves the fewest cells empty in a grid that is no strip", () => {
  const squares = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 16, 100];
  const columns = [1, 2, 3, 2, 3, 3, 4, 4, 3, 5, 4, 4, 7, 4, 10];
  assertEquals(squares.map((count) => fullestColumns(count)), columns);
  assertEquals(fullestColumns(10, 3), 2); // triples side by side
  fc.assert(fc.property(fc.integer({ min: 1, max: 300 }), (count) => {
    const empty = (across: number): number => across * Math.ceil(count / across) - count;
    const best = fullestColumns(count);
    for (let across = 1; across <= count; across++) {
      const rows = Math.ceil(count / across);
      if (Math.max(across / rows, rows / across) <= 4) assert(empty(best) <= empty(across));
    }
  }));
});

Deno.test("tileGrid() is no wider than its pictures and leaves large ones as they are", () => {
  const large: Picture = { width: 256, height: 1, channels: 1, pixels: new Uint8Array(256) };
  const grid = tileGrid([large, large], { columns: 8, gap: 0 });
  assertEquals([grid.width, grid.height], [512, 1]);
});

Deno.test("tileGrid() refuses no pictures, unequal pictures and options that are not whole", () => {
  assertThrows(() => tileGrid([]), RangeError, "1 or more");
  assertThrows(() => tileGrid([grey(1, 2), red]), RangeError, "must all be 2 x 1 x 1");
  assertThrows(() => tileGrid([red], { columns: 0 }), RangeError, "columns must be");
  assertThrows(() => tileGrid([red], { scale: 1.5 }), RangeError, "scale must be");
  assertThrows(() => tileGrid([red], { gap: -1 }), RangeError, "gap must be");
});
