import { assertAlmostEquals, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { normalNoise, philox } from "../../src/tensor/random.ts";

/** *Source:* Random123 1.14, its `kat_vectors`, philox4x32 with 10 rounds. */
const KNOWN_ANSWERS: readonly {
  readonly counter: Parameters<typeof philox>[0];
  readonly key: Parameters<typeof philox>[1];
  readonly bits: readonly number[];
}[] = [
  {
    counter: [0, 0, 0, 0],
    key: [0, 0],
    bits: [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
  },
  {
    counter: [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
    key: [0xffffffff, 0xffffffff],
    bits: [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
  },
  {
    counter: [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
    key: [0xa4093822, 0x299f31d0],
    bits: [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
  },
];

/** First six numbers as float32 bits. *Source:* the same two algorithms written anew in Python. */
const FROZEN: readonly (readonly [seed: number, bits: readonly number[]])[] = [
  [0, [0x3f7dbb33, 0xbf6cb6af, 0xbf1e1b9e, 0xbef6d1b1, 0xbe1d5357, 0x3e392a6d]],
  [1, [0x3ec2c3e3, 0xbe97b1bc, 0xbe7f370c, 0xbf807dbd, 0x3f207fa8, 0xbf224cc3]],
  [2026, [0xbfa46b4f, 0xbe39cfa1, 0xbe781b5f, 0x3f4e0e6b, 0xbdb7043f, 0x3dffb977]],
  [2 ** 53 - 1, [0xbfb07428, 0xbf19b154, 0xbeb3fc54, 0xbf011885, 0xbf73b2e5, 0x3fbe3c19]],
];

Deno.test("philox() gives the known answers of its authors", () => {
  for (const { counter, key, bits } of KNOWN_ANSWERS) assertEquals(philox(counter, key), [...bits]);
});

Deno.test("normalNoise() gives the frozen numbers of a seed, to the last bit", () => {
  for (const [seed, bits] of FROZEN) {
    const { data } = normalNoise([1, 2, 3], seed);
    assertEquals([...new Uint32Array(data.buffer)], [...bits]);
  }
});

Deno.test("normalNoise() gives 65,536 frozen numbers, to the last bit", async () => {
  const { data } = normalNoise([65_536], 7);
  const digest = await crypto.subtle.digest("SHA-256", data as Float32Array<ArrayBuffer>);
  assertEquals(
    new Uint8Array(digest).toHex(), // *Source:* as FROZEN
    "8a55ac0c8771f7a67fadfa343fe5f9c9ec0421b9dd4c122b1b90bb80e0ce0948",
  );
});

Deno.test("normalNoise() has the moments of a standard normal distribution", () => {
  const { data } = normalNoise([65_536], 3);
  const moment = (power: number): number =>
    data.reduce((sum, value) => sum + value ** power, 0) / data.length;
  // Four standard errors of each moment: sqrt((m_2p - m_p²) / 65,536) with m = 0, 1, 0, 3, 0, 15, 0, 105.
  assertAlmostEquals(moment(1), 0, 4 * Math.sqrt(1 / 65_536));
  assertAlmostEquals(moment(2), 1, 4 * Math.sqrt(2 / 65_536));
  assertAlmostEquals(moment(3), 0, 4 * Math.sqrt(15 / 65_536));
  assertAlmostEquals(moment(4), 3, 4 * Math.sqrt(96 / 65_536));
});

Deno.test("normalNoise() does not correlate neighbours, nor seeds that follow each other", () => {
  const [a, b] = [normalNoise([65_536], 3).data, normalNoise([65_536], 4).data];
  const mean = (product: (value: number, i: number) => number): number =>
    a.reduce((sum, value, i) => sum + product(value, i), 0) / a.length;
  const tolerance = 4 / 256; // four standard errors of a mean of 65,536 products
  assertAlmostEquals(mean((value, i) => value * (a[i + 1] ?? 0)), 0, tolerance);
  assertAlmostEquals(mean((value, i) => value * b[i]!), 0, tolerance);
});

Deno.test("normalNoise() begins a larger tensor with the numbers of a smaller one", () => {
  const { data } = normalNoise([4, 5], 11);
  for (const count of [0, 1, 2, 3, 4, 5, 19]) {
    assertEquals(normalNoise([count], 11).data, data.slice(0, count));
  }
});

Deno.test("normalNoise() tells seeds apart above 2^32 too", () => {
  const seeds = [0, 1, 2 ** 32, 2 ** 32 + 1, 2 ** 53 - 1];
  const first = seeds.map((seed) => normalNoise([1], seed).data[0]);
  assertEquals(new Set(first).size, seeds.length);
  assertNotEquals(normalNoise([8], 5).data, normalNoise([8], 5 + 2 ** 32).data);
});

Deno.test("normalNoise() keeps the dimensions it was asked for", () => {
  assertEquals(normalNoise([2, 0, 3], 0), { dims: [2, 0, 3], data: new Float32Array(0) });
  assertEquals(normalNoise([], 0).data.length, 1);
});

Deno.test("normalNoise() refuses seeds that are not integers in 0 … 2^53 - 1", () => {
  for (const seed of [-1, 0.5, 2 ** 53, NaN, Infinity]) {
    const message = `seed must be an integer in 0 … 2^53 - 1: current value is ${seed}`;
    assertThrows(() => normalNoise([1], seed), RangeError, message);
  }
});
