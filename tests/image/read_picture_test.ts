/** Files of every kind against what Pillow reads, and those that are no pictures. */
import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import fc from "fast-check";
import type { Picture } from "../../src/image/picture.ts";
import { encodePng } from "../../src/image/png.ts";
import { readPicture } from "../../src/image/read_picture.ts";
import { AssetError } from "../../src/errors.ts";
import { golden } from "./golden_pictures.ts";

/** Levels by which decoders differ: they round, and enlarge colours of half the size, each in its way. */
const FILES = [
  ["source.png", "source.png", 0],
  ["palette.png", "read/palette.png.png", 0],
  ["plain.jpg", "read/plain.jpg.png", 6],
  ["progressive.jpg", "read/progressive.jpg.png", 6],
  ["turned.jpg", "read/turned.jpg.png", 6],
  ["lossless.webp", "source.png", 0],
  ["lossy.webp", "read/lossy.webp.png", 2],
] as const;

for (const [name, wanted, levels] of FILES) {
  Deno.test(`readPicture() reads ${name} as Pillow does`, async () => {
    const read = await readPicture(await golden(name));
    const reference = await readPicture(await golden(wanted));
    assertEquals([read.width, read.height, read.channels], [
      reference.width,
      reference.height,
      reference.channels,
    ]);
    const worst = Math.max(...read.pixels.map((v, i) => Math.abs(v - reference.pixels[i]!)));
    assert(worst <= levels, `${worst} levels`);
  });
}

Deno.test("readPicture() reads one bit a pixel as black and white, and transparency as a fourth channel", async () => {
  assertEquals(
    await readPicture(await golden("bits.png")),
    await readPicture(await golden("read/bits.png.png")),
  );
  const [png, webp] = [await golden("alpha.png"), await golden("alpha.webp")];
  const read = await readPicture(png);
  assertEquals(read.channels, 4);
  assertEquals(read.pixels[3], 0);
  assertEquals(await readPicture(webp), read);
  const grey = await readPicture(await golden("grey.jpg"));
  const reference = await readPicture(await golden("read/grey.jpg.png"));
  const red = grey.pixels.filter((_, i) => i % grey.channels === 0);
  assert(red.every((value, i) => Math.abs(value - reference.pixels[i]!) <= 2));
});

Deno.test("readPicture() reads bytes from the middle of a buffer", async () => {
  const file = await golden("lossless.webp");
  const larger = new Uint8Array(file.length + 10).fill(7);
  larger.set(file, 3);
  assertEquals(await readPicture(larger.subarray(3, 3 + file.length)), await readPicture(file));
});

Deno.test("readPicture() refuses 100 megapixels by the header alone, and less where it is told", async () => {
  const huge = [
    [await withSize("source.png", [[16, u32(10_000)], [20, u32(10_000)]]), "10000 × 10000"],
    [await withSize("plain.jpg", [[sof, Uint8Array.of(255, 255, 255, 255)]]), "65535 × 65535"],
    [await withSize("lossless.webp", [[21, Uint8Array.of(255, 255, 255, 15)]]), "16384 × 16384"],
    [await withSize("lossy.webp", [[26, Uint8Array.of(255, 63, 255, 63)]]), "16383 × 16383"],
    [await withSize("animated.webp", [[24, new Uint8Array(6).fill(255)]]), "16777216 × 16777216"],
  ] as const;
  for (const [bytes, size] of huge) {
    const error = await assertRejects(() => readPicture(bytes.slice(0, 400)));
    assertInstanceOf(error, RangeError);
    assertEquals(
      error.message,
      `Cannot read picture: it must have less than 100 megapixels: current value is ${size}`,
    );
  }
  const small = await assertRejects(async () =>
    readPicture(await golden("plain.jpg"), { pixelLimit: 48 * 36 })
  );
  assertInstanceOf(small, RangeError);
  assert((await readPicture(await golden("plain.jpg"), { pixelLimit: 48 * 36 + 1 })).width === 48);
});

const NO_PICTURES = [
  ["nothing", new Uint8Array(0), "it must be PNG, JPEG or WebP: current value is an empty file"],
  ["a GIF", text("GIF89a…"), "it must be PNG, JPEG or WebP: current value is GIF"],
  ["a HEIC", text("\0\0\0\x18ftypheic"), "it must be PNG, JPEG or WebP: current value is HEIC"],
  ["a drawing", text("<svg></svg>"), "it must be PNG, JPEG or WebP: current value is SVG"],
  [
    "noise",
    Uint8Array.of(1, 2, 3),
    "it must be PNG, JPEG or WebP: current value is bytes [1,2,3]",
  ],
  [
    "half a signature",
    Uint8Array.of(0xff, 0xd8, 0xff),
    "JPEG must have a size: current value is none",
  ],
] as const;

for (const [what, bytes, why] of NO_PICTURES) {
  Deno.test(`readPicture() refuses ${what} and says what it is`, async () => {
    const error = await assertRejects(() => readPicture(bytes));
    assertInstanceOf(error, AssetError);
    assertEquals(error.message, `Cannot read picture: ${why}`);
  });
}

Deno.test("readPicture() refuses what is cut, in CMYK or animated, and reads the next file", async () => {
  for (const name of ["plain.jpg", "lossy.webp", "lossless.webp", "source.png"]) {
    const file = await golden(name);
    const error = await assertRejects(() => readPicture(file.slice(0, file.length * 0.7)));
    assertInstanceOf(error, AssetError);
    assertEquals((await readPicture(file)).width, 48);
  }
  for (const name of ["cmyk.jpg", "animated.webp"]) {
    const error = await assertRejects(async () => readPicture(await golden(name)));
    assertInstanceOf(error, AssetError);
  }
  assertEquals((await readPicture(await golden("plain.jpg"))).width, 48);
});

Deno.test("readPicture() reads what encodePng() writes, and refuses any other bytes with a type", async () => {
  const sides = fc.integer({ min: 1, max: 9 });
  const pictures = fc.tuple(sides, sides, fc.constantFrom(1 as const, 3 as const, 4 as const))
    .chain(([width, height, channels]) => {
      const count = width * height * channels;
      return fc.uint8Array({ minLength: count, maxLength: count })
        .map((pixels): Picture => ({ width, height, channels, pixels }));
    });
  await fc.assert(
    fc.asyncProperty(pictures, fc.nat(), fc.nat(255), async (picture, at, value) => {
      const file = await encodePng(picture);
      assertEquals(await readPicture(file), picture);
      file[at % file.length] = value;
      await readPicture(file).catch((error) =>
        assert(error instanceof AssetError || error instanceof RangeError, String(error))
      );
    }),
    { seed: 1, numRuns: 100 },
  );
});

Deno.test("readPicture() refuses damaged JPEGs and WebPs with a type, or reads them", async () => {
  const files = [await golden("plain.jpg"), await golden("lossy.webp"), await golden("alpha.webp")];
  await fc.assert(
    fc.asyncProperty(fc.nat(2), fc.nat(), fc.nat(255), async (file, at, value) => {
      const bytes = files[file]!.slice(); // one of three
      bytes[at % bytes.length] = value;
      await readPicture(bytes, { pixelLimit: 1e6 }).catch((error) =>
        assert(error instanceof AssetError || error instanceof RangeError, String(error))
      );
    }),
    { seed: 1, numRuns: 60 },
  );
});

/** Where the size of `plain.jpg` begins: after FF C0, length and precision. */
const sof =
  (await golden("plain.jpg")).findIndex((byte, i, all) => byte === 0xff && all[i + 1] === 0xc0) + 5;

async function withSize(
  name: string,
  parts: readonly (readonly [at: number, bytes: Uint8Array])[],
): Promise<Uint8Array> {
  const file = await golden(name);
  for (const [at, bytes] of parts) file.set(bytes, at);
  return file;
}

function u32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}

function text(value: string): Uint8Array {
  return Uint8Array.from(value, (letter) => letter.charCodeAt(0));
}
