/** Every way in which a PNG may store its pixels, written here by other code than ours. */
import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { decode } from "fast-png";
import fc from "fast-check";
import { decodePng } from "../../src/image/png_decode.ts";
import { crc32, SIGNATURE } from "../../src/image/png_chunk.ts";
import { AssetError } from "../../src/errors.ts";
import { joinBytes } from "../../src/tensor/bytes.ts";

/** A PNG before it is written. */
interface Raw {
  readonly width: number;
  readonly height: number;
  readonly depth: number;
  readonly colour: number;
  readonly interlaced: boolean;
  /** Samples of every pixel, row by row. */
  readonly samples: readonly number[];
  /** Further chunks before the pixels. */
  readonly chunks?: readonly (readonly [type: string, body: Uint8Array])[];
}

const SAMPLES: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };
const KINDS: readonly (readonly [colour: number, depth: number])[] = [
  ...[1, 2, 4, 8, 16].map((depth) => [0, depth] as const),
  ...[8, 16].flatMap((depth) => [2, 4, 6].map((colour) => [colour, depth] as const)),
];

for (const [colour, depth] of KINDS) {
  for (const interlaced of [false, true]) {
    const how = interlaced ? "interlaced" : "row by row";
    Deno.test(`decodePng() reads colour type ${colour} with ${depth} bits, ${how}`, async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.integer({ min: 1, max: 13 }),
          fc.integer({ min: 1, max: 11 }),
          fc.integer({ min: 0, max: 1000 }),
          async (width, height, seed) => {
            const samples = noise(width * height * SAMPLES[colour]!, 2 ** depth, seed);
            const raw = { width, height, depth, colour, interlaced, samples };
            const file = await write(raw);
            const level = (value: number): number => Math.round(value * 255 / (2 ** depth - 1));
            const wanted = colour === 4
              ? samples.flatMap((v, i) => i % 2 === 0 ? [v, v, v] : [v])
              : samples;
            const picture = await decodePng(file);
            assertEquals([...picture.pixels], wanted.map(level));
            if (depth >= 8) assertEquals([...decode(file).data], samples); // it reads what we wrote
          },
        ),
        { seed: 1, numRuns: 8 },
      );
    });
  }
}

Deno.test("decodePng() reads palettes of every depth, with transparency where there is some", async () => {
  for (const depth of [1, 2, 4, 8]) {
    const colours = 2 ** Math.min(depth, 3);
    const palette = Uint8Array.from(noise(3 * colours, 256, 5));
    const samples = noise(35, colours, depth);
    const raw = { width: 7, height: 5, depth, colour: 3, interlaced: false, samples };
    const plain = await decodePng(await write({ ...raw, chunks: [["PLTE", palette]] }));
    const colourOf = (entry: number): number[] => [...palette.subarray(3 * entry, 3 * entry + 3)];
    assertEquals([plain.channels, [...plain.pixels]], [3, samples.flatMap(colourOf)]);
    const chunks = [["PLTE", palette], ["tRNS", Uint8Array.of(9)]] as const;
    const seen = await decodePng(await write({ ...raw, chunks }));
    const wanted = samples.flatMap((entry) => [...colourOf(entry), entry === 0 ? 9 : 255]);
    assertEquals([seen.channels, [...seen.pixels]], [4, wanted]);
  }
});

Deno.test("decodePng() makes the colour of tRNS transparent", async () => {
  const grey = { width: 3, height: 1, depth: 8, colour: 0, interlaced: false, samples: [1, 2, 1] };
  const key = [["tRNS", Uint8Array.of(0, 1)]] as const;
  const { pixels } = await decodePng(await write({ ...grey, chunks: key }));
  assertEquals([...pixels], [1, 1, 1, 0, 2, 2, 2, 255, 1, 1, 1, 0]);
  const rgb = { ...grey, colour: 2, samples: [1, 2, 3, 1, 2, 4, 0, 2, 3] };
  const keys = [["tRNS", Uint8Array.of(0, 1, 0, 2, 0, 3)]] as const;
  const seen = await decodePng(await write({ ...rgb, chunks: keys }));
  assertEquals([3, 7, 11].map((i) => seen.pixels[i]), [0, 255, 255]);
});

Deno.test("decodePng() stops at the first row too many, and says what is missing or damaged", async () => {
  const raw = {
    ...{ width: 2, height: 2, depth: 8, colour: 0, interlaced: false },
    samples: [1, 2, 3, 4],
  };
  const bomb = { ...raw, samples: new Array<number>(4_000_000).fill(0), height: 2_000_000 };
  const cases: readonly (readonly [file: Uint8Array<ArrayBuffer>, why: string])[] = [
    [await write(bomb, { ...raw }), "pixels must be those of 2 × 2: current value is more"],
    [
      await write({ ...raw, height: 1, samples: [1, 2] }, raw),
      "pixels must be those of 2 × 2: current value is fewer",
    ],
    [
      await write(raw, { ...raw, depth: 3 }),
      "colour type and depth must be a pair of PNG: current value is 0, 3",
    ],
    [
      await write(raw, { ...raw, colour: 5 }),
      "colour type and depth must be a pair of PNG: current value is 5, 8",
    ],
    [await write(raw, { ...raw, width: 0 }), "size must be at least 1 × 1: current value is 0 × 2"],
    [await write({ ...raw, colour: 3 }), "PLTE must be present: current value is absent"],
    [
      await write({ ...raw, colour: 3, chunks: [["PLTE", new Uint8Array(9)]] }),
      "palette must be more than 3 colours: current value is 3",
    ],
    [
      await write({ ...raw, chunks: [["tRNS", new Uint8Array(3)]] }),
      "tRNS must be 2 bytes: current value is 3",
    ],
    [
      joinBytes([
        SIGNATURE,
        chunk("IHDR", header(raw)),
        chunk("IDAT", Uint8Array.of(1, 2, 3)),
        END,
      ]),
      "pixels must be intact zlib data: current value is none",
    ],
  ];
  for (const [file, why] of cases) {
    const error = await assertRejects(() => decodePng(file));
    assertInstanceOf(error, AssetError);
    assertEquals(error.message, `Cannot read PNG: ${why}`);
  }
});

Deno.test("decodePng() reads a megapixel in a second or so", async () => {
  const raw = { width: 1000, height: 1000, depth: 8, colour: 2, interlaced: false };
  const file = await write({ ...raw, samples: noise(3_000_000, 4, 1) });
  const started = performance.now();
  await decodePng(file);
  const seconds = (performance.now() - started) / 1000;
  assert(seconds < 5, `${seconds} s`); // 0.1 s on a free core
});

/** Adam7, §8.1, on its own: with the reader's table a wrong number would be written as it is read. */
const PASSES = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;
const END = chunk("IEND", new Uint8Array(0));

/** Writes a PNG, every row with the next of the five filters; its header may lie. */
async function write(raw: Raw, said: Omit<Raw, "samples"> = raw): Promise<Uint8Array<ArrayBuffer>> {
  const { width, height, depth, colour, interlaced, samples, chunks = [] } = raw;
  const per = SAMPLES[colour]!;
  const step = Math.max(1, per * depth / 8);
  const rows: Uint8Array[] = [];
  for (const [x0, y0, dx, dy] of interlaced ? PASSES : [[0, 0, 1, 1] as const]) {
    const count = Math.ceil((width - x0) / dx);
    if (count < 1) continue;
    let above = new Uint8Array(Math.ceil(count * per * depth / 8));
    for (let y = y0; y < height; y += dy) {
      const row = new Uint8Array(above.length);
      for (let i = 0; i < count * per; i++) {
        const pixel = y * width + x0 + Math.floor(i / per) * dx;
        put(row, { index: i, depth, value: samples[pixel * per + i % per]! });
      }
      rows.push(filtered(row, above, { filter: rows.length % 5, step }));
      above = row;
    }
  }
  const zlib = new Blob([joinBytes(rows)]).stream().pipeThrough(new CompressionStream("deflate"));
  const stored = new Uint8Array(await new Response(zlib).arrayBuffer());
  const half = Math.ceil(stored.length / 2);
  return joinBytes([
    SIGNATURE,
    chunk("IHDR", header(said)),
    ...chunks.map(([type, body]) => chunk(type, body)),
    chunk("IDAT", stored.subarray(0, half)), // in two parts
    chunk("IDAT", stored.subarray(half)),
    END,
  ]);
}

function put(
  row: Uint8Array,
  { index, depth, value }: {
    readonly index: number;
    readonly depth: number;
    readonly value: number;
  },
): void {
  if (depth === 16) [row[2 * index], row[2 * index + 1]] = [value >> 8, value & 255];
  else row[Math.floor(index * depth / 8)]! |= value << (8 - depth - index * depth % 8);
}

function filtered(
  row: Uint8Array,
  above: Uint8Array,
  { filter, step }: { readonly filter: number; readonly step: number },
): Uint8Array {
  return Uint8Array.of(
    filter,
    ...row.map((value, i) => {
      const [a, b, c] = [row[i - step] ?? 0, above[i]!, above[i - step] ?? 0];
      const p = a + b - c;
      const [pa, pb, pc] = [p - a, p - b, p - c].map(Math.abs) as [number, number, number];
      const paeth = pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
      return value - [0, a, b, Math.floor((a + b) / 2), paeth][filter]!;
    }),
  );
}

function header({ width, height, depth, colour, interlaced }: Omit<Raw, "samples">): Uint8Array {
  const body = new Uint8Array(13);
  const view = new DataView(body.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  body.set([depth, colour, 0, 0, interlaced ? 1 : 0], 8);
  return body;
}

function chunk(type: string, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(body.length + 12);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, body.length);
  bytes.set([...type].map((letter) => letter.charCodeAt(0)), 4);
  bytes.set(body, 8);
  view.setUint32(8 + body.length, crc32(bytes.subarray(4, 8 + body.length)));
  return bytes;
}

function noise(count: number, below: number, seed: number): number[] {
  let state = seed + 1;
  return Array.from({ length: count }, () => {
    state = Math.imul(state, 1664525) + 1013904223 >>> 0;
    return Math.floor(state / 2 ** 32 * below);
  });
}
