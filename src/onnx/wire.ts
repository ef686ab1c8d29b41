/**
 * Protocol-buffer wire format, writing only.
 *
 * Byte fields are kept by reference and copied once, into the finished message: a model with a gigabyte
 * of weights costs one gigabyte more while it is written, not two.
 *
 * *Source:* protobuf encoding specification (varints, wire types 0, 2 and 5).
 */

import { joinBytes } from "../tensor/bytes.ts";

const VARINT = 0;
const LENGTH_DELIMITED = 2;
const FIXED32 = 5;
const text = new TextEncoder();

export class MessageWriter {
  readonly #parts: Uint8Array[] = [];
  #byteLength = 0;

  get byteLength(): number {
    return this.#byteLength;
  }

  /** A varint field; `value` is a safe integer, negative numbers as 64-bit two's complement. */
  integer(field: number, value: number): this {
    return this.#push(tag(field, VARINT)).#push(varint(value));
  }

  float(field: number, value: number): this {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setFloat32(0, value, true);
    return this.#push(tag(field, FIXED32)).#push(bytes);
  }

  /** A field of raw bytes, kept by reference: do not write to them before `finish()`. */
  bytes(field: number, value: Uint8Array): this {
    return this.#push(tag(field, LENGTH_DELIMITED)).#push(varint(value.length)).#push(value);
  }

  string(field: number, value: string): this {
    return this.bytes(field, text.encode(value));
  }

  integers(field: number, values: readonly number[]): this {
    return this.bytes(field, joinBytes(values.map(varint)));
  }

  /** A nested message field, its parts kept by reference. */
  message(field: number, value: MessageWriter): this {
    this.#push(tag(field, LENGTH_DELIMITED)).#push(varint(value.#byteLength));
    value.#parts.forEach((part) => this.#push(part));
    return this;
  }

  /** The message in one piece. */
  finish(): Uint8Array<ArrayBuffer> {
    return joinBytes(this.#parts);
  }

  #push(part: Uint8Array): this {
    this.#parts.push(part);
    this.#byteLength += part.length;
    return this;
  }
}

function tag(field: number, wireType: number): Uint8Array {
  return varint(field * 8 + wireType);
}

/** Numbers of one byte, which most are. */
const SHORT = Array.from({ length: 128 }, (_, value) => Uint8Array.of(value));

function varint(value: number): Uint8Array {
  const short = SHORT[value];
  if (short !== undefined) return short;
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  while (rest > 127n) {
    bytes.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}
