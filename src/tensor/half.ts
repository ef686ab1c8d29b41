/**
 * Sixteen-bit floats to float32 and back, eight-bit floats to float32.
 */

const E5M2 = Float32Array.from({ length: 256 }, (_, byte) => fromHalfBits(byte << 8));
/** A float16's exponent has a bias of 15, this one's 7: shifted into its place, a number is 2^8 too small. */
const E4M3 = Float32Array.from({ length: 256 }, (_, byte) => {
  const magnitude = byte & 0x7f;
  return magnitude === 0x7f ? NaN : fromHalfBits((byte & 0x80) << 8 | magnitude << 7) * 256;
});
let halves: Float32Array | undefined;

/** Decodes little-endian IEEE float16: `2 · into.length` bytes. */
export function decodeFloat16(bytes: Uint8Array, into: Float32Array): void {
  halves ??= Float32Array.from({ length: 65_536 }, (_, bits) => fromHalfBits(bits));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let i = 0; i < into.length; i++) into[i] = halves[view.getUint16(2 * i, true)]!; // 65,536 rows
}

/** Decodes float8 with 5 bits of exponent, which is the upper byte of a float16: `into.length` bytes. */
export function decodeFloat8E5m2(bytes: Uint8Array, into: Float32Array): void {
  for (let i = 0; i < into.length; i++) into[i] = E5M2[bytes[i]!]!; // 256 rows
}

/**
 * Decodes float8 with 4 bits of exponent: `into.length` bytes. This is the `fn` variant, the one that
 * weights are published in: it has no infinities, and only 0x7f and 0xff are NaN.
 *
 * *Source:* Micikevicius et al., "FP8 Formats for Deep Learning", 2022.
 */
export function decodeFloat8E4m3(bytes: Uint8Array, into: Float32Array): void {
  for (let i = 0; i < into.length; i++) into[i] = E4M3[bytes[i]!]!; // 256 rows
}

/** Decodes little-endian bfloat16, the upper half of a float32: `2 · into.length` bytes. */
export function decodeBfloat16(bytes: Uint8Array, into: Float32Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const bits = new Uint32Array(into.buffer, into.byteOffset, into.length);
  for (let i = 0; i < into.length; i++) bits[i] = view.getUint16(2 * i, true) << 16;
}

/** Encodes to little-endian float16, rounding to nearest, ties to even; overflow gives infinity. */
export function encodeFloat16(numbers: Float32Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(numbers.length * 2);
  const view = new DataView(bytes.buffer);
  const bits = new Uint32Array(numbers.buffer, numbers.byteOffset, numbers.length);
  for (let i = 0; i < bits.length; i++) view.setUint16(2 * i, toHalfBits(bits[i]!), true); // i < length
  return bytes;
}

/** Numbers as little-endian float16, if that changes none of them (nor the bits of one that is none). */
export function exactFloat16(numbers: Float32Array): Uint8Array<ArrayBuffer> | undefined {
  const bytes = encodeFloat16(numbers);
  const decoded = new Float32Array(numbers.length);
  decodeFloat16(bytes, decoded);
  return decoded.every((number, i) => Object.is(number, numbers[i])) ? bytes : undefined;
}

/** Numbers as little-endian float16, rounded; `undefined` if one of them is beyond its range. */
export function finiteFloat16(numbers: Float32Array): Uint8Array<ArrayBuffer> | undefined {
  return numbers.every((number) => Math.abs(number) < HALF_LIMIT)
    ? encodeFloat16(numbers)
    : undefined;
}

/** What is as large becomes infinite: halfway beyond the largest float16, 65,504. */
const HALF_LIMIT = 65_520;

function fromHalfBits(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * 2 ** (exponent - 15) * (1 + fraction / 1024);
}

/** Bits of a float32 to bits of the nearest float16. */
function toHalfBits(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00; // NaN
  if (magnitude >= 0x477ff000) return sign | 0x7c00; // from 65,520, halfway beyond the largest
  if (magnitude >= 0x38800000) return sign | dropBits(magnitude - 0x38000000, 13); // bias 127 to 15
  if (magnitude < 0x33000000) return sign; // below half of the smallest, 2^-24
  const fraction = (magnitude & 0x7fffff) | 0x800000;
  return sign | dropBits(fraction, 126 - (magnitude >>> 23)); // in units of 2^-24
}

/** Divides by 2^count, to nearest, ties to even; a full fraction carries into the exponent. */
function dropBits(bits: number, count: number): number {
  const halfway = (1 << (count - 1)) - 1 + ((bits >>> count) & 1);
  return (bits + halfway) >>> count;
}
