import { assertEquals } from "@std/assert";
import fc from "fast-check";
import type { Picture } from "../../src/image/picture.ts";
import { toGrey, toPlanes } from "../../src/image/planes.ts";
import { readPicture } from "../../src/image/read_picture.ts";
import { cropToAspect, resizePicture } from "../../src/image/resize.ts";
import { golden } from "./golden_pictures.ts";

for (const name of ["smaller", "larger", "wider", "one"]) {
  Deno.test(`resizePicture() gives the bytes of Pillow's Lanczos: ${name}`, async () => {
    const source = await readPicture(await golden("source.png"));
    const wanted = await readPicture(await golden(`resized/${name}.png`));
    assertEquals(resizePicture(source, wanted), wanted);
  });
}

Deno.test("toGrey() and resizePicture() give Pillow's lightness", async () => {
  const source = await readPicture(await golden("source.png"));
  const wanted = await readPicture(await golden("resized/grey.png"));
  assertEquals(resizePicture(toGrey(source), wanted), wanted);
});

Deno.test("resizePicture() keeps a picture of that size, and one colour in any size", () => {
  const sizes = fc.record({
    width: fc.integer({ min: 1, max: 40 }),
    height: fc.integer({ min: 1, max: 40 }),
  });
  fc.assert(
    fc.property(sizes, sizes, fc.nat(255), (before, after, level) => {
      const pixels = new Uint8Array(before.width * before.height * 3).fill(level);
      const picture: Picture = { ...before, channels: 3, pixels };
      assertEquals(resizePicture(picture, before), picture);
      const wanted = new Uint8Array(after.width * after.height * 3).fill(level);
      assertEquals(resizePicture(picture, after).pixels, wanted);
    }),
    { seed: 1, numRuns: 60 },
  );
});

Deno.test("cropToAspect() takes the largest part around the centre", () => {
  const picture = (width: number, height: number): Picture => ({
    width,
    height,
    channels: 1,
    pixels: Uint8Array.from({ length: width * height }, (_, i) => i),
  });
  const cut = cropToAspect(picture(6, 3), { width: 128, height: 128 });
  assertEquals([cut.width, cut.height], [3, 3]);
  assertEquals([...cut.pixels], [1, 2, 3, 7, 8, 9, 13, 14, 15]);
  assertEquals(cropToAspect(picture(4, 6), { width: 32, height: 48 }).pixels.length, 24);
  const tall = cropToAspect(picture(3, 6), { width: 10, height: 10 });
  assertEquals([tall.width, tall.height, tall.pixels[0]], [3, 3, 3]);
  const line = cropToAspect(picture(100, 1), { width: 1, height: 50 });
  assertEquals([line.width, line.height], [1, 1]);
});

Deno.test("toPlanes() gives [-1, 1], channels first, on white where a picture is transparent", () => {
  const pixels = Uint8Array.of(0, 128, 255, 255, 10, 20, 30, 0);
  const planes = toPlanes({ width: 2, height: 1, channels: 4, pixels }, 3);
  assertEquals(planes.dims, [1, 3, 1, 2]);
  assertEquals([...planes.data], [-1, 1, Math.fround(2 * Math.fround(128 / 255) - 1), 1, 1, 1]);
  const grey = toPlanes({ width: 1, height: 1, channels: 1, pixels: Uint8Array.of(255) }, 3);
  assertEquals([...grey.data], [1, 1, 1]);
});
