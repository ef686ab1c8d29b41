/**
 * Sixteen-bit floats to float32 and back.
 *
 * @module
 */

const FRACTION_BITS = 10;
const SMALLEST = 2 ** -24; // of the subnormal float16 numbers

let table: Float32Array | undefined;

/** Decodes little-endian IEEE float16; two bytes a number. */
export function decodeFloat16(bytes: Uint8Array, into: Float32Array): void {
  table ??= Float32Array.from({ length: 65_536 }, (_, bits) => fromHalfBits(bits));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let i = 0; i < into.length; i++) into[i] = table[view.getUint16(2 * i, true)]!; // 65,536 rows
}

/** Decodes little-endian bfloat16, the upper half of a float32; two bytes a number. */
export function decodeBfloat16(bytes: Uint8Array, into: Float32Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const bits = new Uint32Array(into.buffer, into.byteOffset, into.length);
  for (let i = 0; i < into.length; i++) bits[i] = view.getUint16(2 * i, true) << 16;
}

/** Encodes to little-endian float16, rounding to nearest, ties to even; overflow gives infinity. */
export function encodeFloat16(numbers: Float32Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(numbers.length * 2);
  const view = new DataView(bytes.buffer);
  numbers.forEach((value, i) => view.setUint16(2 * i, toHalfBits(value), true));
  return bytes;
}

function fromHalfBits(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> FRACTION_BITS) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * SMALLEST;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * 2 ** (exponent - 15) * (1 + fraction / 1024);
}

function toHalfBits(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  if (Number.isNaN(value)) return 0x7e00;
  if (magnitude >= 65_520) return sign | 0x7c00; // halfway to the next number after 65,504
  if (magnitude < 2 ** -14) return sign | roundHalfEven(magnitude / SMALLEST);
  const exponent = Math.floor(Math.log2(magnitude));
  const settled = magnitude < 2 ** exponent ? exponent - 1 : exponent; // log2 may round up
  const fraction = roundHalfEven((magnitude / 2 ** settled - 1) * 1024);
  return sign | (((settled + 15) << FRACTION_BITS) + fraction); // a full fraction carries over
}

function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}
