import { assert, assertEquals } from "@std/assert";
import {
  decodeBfloat16,
  decodeFloat16,
  decodeFloat8E4m3,
  decodeFloat8E5m2,
  encodeFloat16,
  exactFloat16,
} from "../../src/tensor/half.ts";

const ALL = Uint16Array.from({ length: 65_536 }, (_, bits) => bits);

Deno.test("decodeFloat16() agrees with Float16Array on all 65,536 patterns", () => {
  const decoded = new Float32Array(ALL.length);
  decodeFloat16(new Uint8Array(ALL.buffer), decoded);
  assertEquals([...decoded], [...new Float16Array(ALL.buffer)]); // as lists: any NaN equals another
});

Deno.test("decodeFloat16() reads bytes at an odd offset", () => {
  const decoded = new Float32Array(2);
  decodeFloat16(new Uint8Array([9, 0x00, 0x3c, 0x00, 0xc0]).subarray(1), decoded);
  assertEquals([...decoded], [1, -2]);
});

const BYTES = Uint8Array.from({ length: 256 }, (_, byte) => byte);

Deno.test("decodeFloat8E5m2() gives the float16 whose upper byte each of 256 patterns is", () => {
  const decoded = new Float32Array(256);
  decodeFloat8E5m2(BYTES, decoded);
  assertEquals([...decoded], [...new Float16Array(Uint16Array.from(BYTES, (b) => b << 8).buffer)]);
});

Deno.test("decodeFloat8E4m3() knows no infinity: 448 is the largest, 0x7f and 0xff are no numbers", () => {
  const decoded = new Float32Array(256);
  decodeFloat8E4m3(BYTES, decoded);
  const wanted = [...BYTES].map((byte) => {
    const [sign, exponent, fraction] = [byte >> 7 ? -1 : 1, (byte >> 3) & 15, byte & 7];
    if (exponent === 15 && fraction === 7) return NaN;
    return sign * (exponent === 0 ? fraction * 2 ** -9 : (8 + fraction) * 2 ** (exponent - 10));
  });
  assertEquals([...decoded], wanted);
  assertEquals(Math.max(...wanted.filter((number) => !Number.isNaN(number))), 448);
});

Deno.test("decodeBfloat16() gives the float32 whose upper half each of 65,536 patterns is", () => {
  const decoded = new Float32Array(ALL.length);
  decodeBfloat16(new Uint8Array(ALL.buffer), decoded);
  const wanted = new Float32Array(Uint32Array.from(ALL, (bits) => bits << 16).buffer);
  assertEquals([...decoded], [...wanted]);
});

Deno.test("encodeFloat16() gives back every pattern that is a number", () => {
  const numbers = Float32Array.from(new Float16Array(ALL.buffer));
  const encoded = new Uint16Array(encodeFloat16(numbers).buffer);
  for (const bits of ALL) {
    if (Number.isNaN(numbers[bits])) assert((encoded[bits]! & 0x7fff) > 0x7c00);
    else assertEquals(encoded[bits], bits);
  }
});

Deno.test("encodeFloat16() rounds as Float16Array does, ties included", () => {
  const halves = new Float16Array(ALL.buffer);
  const numbers = new Float32Array(5 * 65_536);
  for (const bits of ALL) {
    const [low, high] = [halves[bits]!, halves[(bits + 1) % 65_536]!];
    const middle = Math.fround((low + high) / 2); // exactly between two neighbours: a tie
    const step = Math.abs(middle) * 2 ** -23;
    numbers.set(
      [middle, middle - step, middle + step, 0.75 * low + 0.25 * high, low / 3],
      5 * bits,
    );
  }
  const wanted = new Uint16Array(Float16Array.from(numbers).buffer);
  const encoded = new Uint16Array(encodeFloat16(numbers).buffer);
  for (const [i, number] of numbers.entries()) {
    if (!Number.isNaN(number)) assertEquals(encoded[i], wanted[i], `${number}`);
  }
});

Deno.test("encodeFloat16() overflows from 65,520 and underflows up to 2^-25", () => {
  const numbers = Float32Array.of(65_519.996, 65_520, -1e30, 2 ** -25, 1.0001 * 2 ** -25, -0);
  const encoded = new Uint16Array(encodeFloat16(numbers).buffer);
  assertEquals([...encoded], [0x7bff, 0x7c00, 0xfc00, 0, 1, 0x8000]);
});

Deno.test("exactFloat16() gives bytes only where every number survives", () => {
  const kept = Float32Array.of(1, -0, 2 ** -24, 65_504, Infinity, -Infinity, NaN);
  assertEquals(exactFloat16(kept), encodeFloat16(kept));
  for (const lost of [1 / 3, 65_520, 2 ** -25, 1e-45]) {
    assertEquals(exactFloat16(Float32Array.of(1, lost)), undefined);
  }
});
