import { assert, assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import { decode, encode, hasPngSignature } from "fast-png";
import type { Picture } from "../../src/image/picture.ts";
import { encodePng } from "../../src/image/png.ts";
import { readPngText } from "../../src/image/png_text.ts";
import { AssetError } from "../../src/errors.ts";

const pixel: Picture = { width: 1, height: 1, channels: 1, pixels: Uint8Array.of(7) };

const anyPicture: fc.Arbitrary<Picture> = fc.tuple(
  fc.integer({ min: 1, max: 12 }),
  fc.integer({ min: 1, max: 12 }),
  fc.constantFrom(1 as const, 3 as const, 4 as const),
).chain(([width, height, channels]) => {
  const count = width * height * channels;
  return fc.uint8Array({ minLength: count, maxLength: count })
    .map((pixels) => ({ width, height, channels, pixels }));
});

/** A smooth picture: every row filter of PNG gets its turn on it. */
function gradient(width: number, height: number, channels: 1 | 3 | 4): Picture {
  const pixels = Uint8Array.from({ length: width * height * channels }, (_, i) => {
    const [x, y] = [Math.floor(i / channels) % width, Math.floor(i / channels / width)];
    return y < 8 ? x * 3 : y < 16 ? y * 5 : (x * y) / 4 + x + y;
  });
  return { width, height, channels, pixels };
}

Deno.test("encodePng() writes pixels that fast-png reads back, for grey, RGB and RGBA", async () => {
  for (const channels of [1, 3, 4] as const) {
    const picture = gradient(40, 33, channels);
    const decoded = decode(await encodePng(picture), { checkCrc: true });
    assertEquals(
      [decoded.width, decoded.height, decoded.channels, decoded.depth],
      [40, 33, channels, 8],
    );
    assertEquals(new Uint8Array(decoded.data), picture.pixels);
  }
});

Deno.test("encodePng() writes any pixels so that fast-png reads them back", async () => {
  await fc.assert(
    fc.asyncProperty(anyPicture, async (picture) => {
      const decoded = decode(await encodePng(picture), { checkCrc: true });
      assertEquals(new Uint8Array(decoded.data), picture.pixels);
    }),
    { seed: 1, numRuns: 60 },
  );
});

Deno.test("encodePng() makes a smooth picture much smaller than its pixels", async () => {
  const pixels = Uint8Array.from({ length: 256 * 256 }, (_, i) => i + (i >> 7)); // x + 2 y
  const picture: Picture = { width: 256, height: 256, channels: 1, pixels };
  const { length } = await encodePng(picture);
  assert(length < pixels.length / 50, `${length} bytes`);
});

Deno.test("encodePng() gives the same bytes for the same picture", async () => {
  const text = { seed: "7" };
  assertEquals(
    await encodePng(gradient(20, 20, 1), text),
    await encodePng(gradient(20, 20, 1), text),
  );
});

Deno.test("readPngText() returns the text that encodePng() was given, in any script", async () => {
  const keyword = fc.stringMatching(/^[!-~\xa1-\xff]{1,40}$/);
  const text = fc.string({ unit: "binary", maxLength: 200 }).filter((t) => !t.includes("\0"));
  await fc.assert(
    fc.asyncProperty(fc.dictionary(keyword, text), async (texts) => {
      const read = readPngText(await encodePng(pixel, texts));
      assertEquals(Object.entries(read), Object.entries(texts));
    }),
    { seed: 2, numRuns: 60 },
  );
});

Deno.test("readPngText() keeps a byte order mark, an empty text and the keyword __proto__", async () => {
  const texts = Object.fromEntries([["bom", "\ufeffa"], ["empty", ""], ["__proto__", "own"]]);
  assertEquals(Object.entries(readPngText(await encodePng(pixel, texts))), Object.entries(texts));
});

Deno.test("readPngText() reads the Latin-1 text of another encoder", () => {
  const bytes = encode({
    width: 1,
    height: 1,
    channels: 1,
    data: pixel.pixels,
    text: { Title: "é" },
  });
  assertEquals(readPngText(bytes), { Title: "é" });
});

Deno.test("readPngText() passes over compressed text", async () => {
  const bytes = await encodePng(pixel, { note: "text" });
  const at = indexOf(bytes, "note") + "note".length + 1;
  bytes[at] = 1;
  assertEquals(readPngText(withChecksums(bytes)), {});
});

Deno.test("readPngText() finds text behind an offset into a larger buffer", async () => {
  const bytes = await encodePng(pixel, { a: "b" });
  const larger = new Uint8Array(bytes.length + 9);
  larger.set(bytes, 5);
  assertEquals(readPngText(larger.subarray(5, 5 + bytes.length)), { a: "b" });
});

Deno.test("encodePng() refuses keywords and texts that PNG does not allow", async () => {
  for (const keyword of ["", " a", "a ", "a  b", "a\nb", "日", "\xa0", "x".repeat(80)]) {
    await assertRejects(() => encodePng(pixel, { [keyword]: "" }), RangeError, "keyword must be");
  }
  for (const text of ["a\0b", "\ud800"]) {
    await assertRejects(() => encodePng(pixel, { a: text }), RangeError, 'text of "a" must be');
  }
});

Deno.test("encodePng() refuses sizes that do not fit the pixels", async () => {
  for (const [width, says] of [[0, "width"], [1.5, "width"], [2 ** 31, "width"], [2, "pixels"]]) {
    await assertRejects(
      () => encodePng({ ...pixel, width: Number(width) }),
      RangeError,
      `${says} must`,
    );
  }
});

Deno.test("readPngText() answers any bytes with text or an AssetError", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), textOrAssetError), { seed: 3 });
});

Deno.test("readPngText() answers a mutated PNG with text or an AssetError", async () => {
  const png = await encodePng(gradient(9, 9, 3), { parameters: '{"seed":7}', Note: "größer" });
  const mutation = fc.record({
    edits: fc.array(fc.tuple(fc.nat(png.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 }),
    cut: fc.tuple(fc.nat(png.length), fc.nat(40)),
    fixChecksums: fc.boolean(), // so that mutations get past the checksums
  });
  fc.assert(
    fc.property(mutation, ({ edits, cut: [at, count], fixChecksums }) => {
      const bytes = png.slice();
      for (const [i, value] of edits) bytes[i] = value;
      const shorter = Uint8Array.from([...bytes.slice(0, at), ...bytes.slice(at + count)]);
      textOrAssetError(fixChecksums ? withChecksums(shorter) : shorter);
    }),
    { seed: 4, numRuns: 500 },
  );
});

Deno.test("readPngText() refuses every truncation, any flipped bit and anything behind the end", async () => {
  const png = await encodePng(pixel, { parameters: "text" });
  for (let length = 0; length < png.length; length++) {
    assertThrows(() => readPngText(png.subarray(0, length)), AssetError, "Cannot read PNG");
  }
  for (let bit = 0; bit < png.length * 8; bit++) {
    const flipped = png.slice();
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    assertThrows(() => readPngText(flipped), AssetError, "Cannot read PNG");
  }
  assertThrows(() => readPngText(Uint8Array.of(...png, 0)), AssetError, "size must be");
});

Deno.test("readPngText() refuses more than 4 MiB of text", async () => {
  const text = "x".repeat(3 * 1024 * 1024);
  assertEquals(readPngText(await encodePng(pixel, { a: text })), { a: text });
  const bomb = await encodePng(pixel, { a: text, b: text });
  assertThrows(() => readPngText(bomb), AssetError, "text must be <= 4194304 bytes");
});

function textOrAssetError(bytes: Uint8Array): void {
  try {
    const text = readPngText(bytes);
    assert(hasPngSignature(bytes));
    assert(Object.values(text).every((value) => typeof value === "string"));
  } catch (error) {
    assertInstanceOf(error, AssetError, `${error}`);
  }
}

/** Writes right checksums behind every chunk that can still be found. */
function withChecksums(bytes: Uint8Array): Uint8Array {
  const fixed = bytes.slice();
  const view = new DataView(fixed.buffer);
  for (let at = 8; at + 12 <= fixed.length;) {
    const end = at + 8 + view.getUint32(at);
    if (end + 4 > fixed.length) break;
    view.setUint32(end, crc32(fixed.subarray(at + 4, end)));
    at = end + 4;
  }
  return fixed;
}

/** Bit by bit, on purpose another way than the encoder's table. */
function crc32(bytes: Uint8Array): number {
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (0xedb88320 & -(crc & 1));
  }
  return ~crc >>> 0;
}

function indexOf(bytes: Uint8Array, text: string): number {
  return String.fromCharCode(...bytes).indexOf(text);
}
