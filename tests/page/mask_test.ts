/** Masks that are painted: strokes, other sizes, files, and what a server is sent. */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { Picture } from "../../src/image/picture.ts";
import { toTransparency } from "../../src/image/planes.ts";
import {
  asTransparency,
  blankMask,
  fitMask,
  maskOf,
  type Point,
  repaintedShare,
  withStroke,
} from "../../src/page/mask.ts";

const DISC = { radius: 3, erases: false };
const side = fc.integer({ min: 1, max: 40 });
const place = (most: number): fc.Arbitrary<Point> => {
  const along = fc.double({ min: -10, max: most + 10, noNaN: true });
  return fc.record({ x: along, y: along });
};

Deno.test("a blank mask repaints nothing, is as large as a small picture and no larger than 512", () => {
  const { width, height, pixels } = blankMask({ width: 96, height: 128 });
  assertEquals([width, height, pixels.length, repaintedShare(blankMask({ width: 9, height: 9 }))], [
    ...[96, 128, 96 * 128, 0],
  ]);
  const large = blankMask({ width: 5000, height: 1000 });
  assertEquals([large.width, large.height], [512, 102]);
  assertEquals(blankMask({ width: 9000, height: 1 }).height, 1);
});

Deno.test("a dot paints the pixels whose middle is under the brush, and no others", () => {
  const mask = withStroke(blankMask({ width: 7, height: 5 }), dot({ x: 3.5, y: 2.5 }), {
    ...DISC,
    radius: 1.5,
  });
  assertEquals(rowsOf(mask), [".......", "..###..", "..###..", "..###..", "......."]);
});

Deno.test("a stroke is all dots on its way, wherever it ends, and changes no mask that it is painted on", () => {
  fc.assert(fc.property(side, side, place(40), place(40), (width, height, from, to) => {
    const blank = blankMask({ width, height });
    const { pixels } = withStroke(blank, [from, to], DISC);
    assertEquals(repaintedShare(blank), 0);
    for (let i = 0; i <= 20; i++) {
      const at = { x: from.x + (to.x - from.x) * i / 20, y: from.y + (to.y - from.y) * i / 20 };
      const painted = withStroke(blank, dot(at), { ...DISC, radius: 2.99 }).pixels;
      assert(painted.every((level, j) => level <= pixels[j]!));
    }
  }));
});

Deno.test("what is painted is erased by the same stroke", () => {
  fc.assert(fc.property(side, side, place(40), place(40), (width, height, from, to) => {
    const painted = withStroke(blankMask({ width, height }), [from, to], DISC);
    const erased = withStroke(painted, [from, to], { ...DISC, erases: true });
    assertEquals(repaintedShare(erased), 0);
  }));
});

Deno.test("a mask in another size has the same share of each side, and fits back", () => {
  fc.assert(fc.property(side, side, fc.integer({ min: 1, max: 4 }), (width, height, times) => {
    const ends = [{ x: 0, y: 0 }, { x: width / 2, y: height / 3 }] as const;
    const mask = withStroke(blankMask({ width, height }), ends, DISC);
    const larger = fitMask(mask, { width: times * width, height: times * height });
    assertEquals(repaintedShare(larger), repaintedShare(mask));
    assertEquals(fitMask(larger, mask), mask);
  }));
});

const FILES: readonly (readonly [name: string, file: Picture, wanted: string])[] = [
  ["what is transparent", rgba([[0, 0, 0, 0], [255, 255, 255, 255], [9, 9, 9, 120]]), "#.#"],
  ["white where nothing is transparent", rgba([[255, 255, 255, 255], [0, 0, 0, 255]]), "#."],
  ["what is light, of greys", grey([255, 200, 128, 127, 3]), "###.."],
  ["nothing of a black file", rgba([[0, 0, 0, 255]]), "."],
];

for (const [name, file, wanted] of FILES) {
  Deno.test(`a mask from a file repaints ${name}`, () => {
    assertEquals(rowsOf(maskOf(file)), [wanted]);
  });
}

Deno.test("a server reads of its transparency what was painted", () => {
  const mask = withStroke(blankMask({ width: 9, height: 6 }), dot({ x: 2, y: 2 }), DISC);
  assertEquals(toTransparency(asTransparency(mask)), mask);
  assertEquals(toTransparency(grey([255, 0])), grey([0, 0]));
});

function dot(at: Point): readonly [Point, Point] {
  return [at, at];
}

function rowsOf({ width, height, pixels }: Picture): readonly string[] {
  return Array.from(
    { length: height },
    (_, y) =>
      [...pixels.subarray(y * width, (y + 1) * width)].map((level) => ".#"[level / 255]).join(""),
  );
}

function rgba(pixels: readonly (readonly [number, number, number, number])[]): Picture {
  return { width: pixels.length, height: 1, channels: 4, pixels: Uint8Array.from(pixels.flat()) };
}

function grey(levels: readonly number[]): Picture {
  return { width: levels.length, height: 1, channels: 1, pixels: Uint8Array.from(levels) };
}
