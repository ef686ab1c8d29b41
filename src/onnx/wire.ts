/**
 * Protocol-buffer wire format, writing only.
 *
 * Byte fields are kept by reference and copied once, into the finished message: a model with a gigabyte
 * of weights costs one gigabyte more while it is written, not two. All else goes straight into one array:
 * a graph has thousands of fields of a few bytes.
 *
 * *Source:* protobuf encoding specification (varints, wire types 0, 2 and 5).
 */

const VARINT = 0;
const LENGTH_DELIMITED = 2;
const FIXED32 = 5;
const text = new TextEncoder();

/** Bytes that are kept by reference. */
interface Kept {
  /** Which of the bytes written here come next. */
  readonly before: number;
  readonly bytes: Uint8Array;
}

export class MessageWriter {
  #written = new Uint8Array(64); // engines hold so many without a buffer of their own
  #length = 0;
  readonly #kept: Kept[] = [];
  #keptLength = 0;

  get byteLength(): number {
    return this.#length + this.#keptLength;
  }

  /** A varint field; `value` is a safe integer, negative numbers as 64-bit two's complement. */
  integer(field: number, value: number): this {
    this.#tag(field, VARINT);
    this.#varint(value);
    return this;
  }

  float(field: number, value: number): this {
    this.#tag(field, FIXED32);
    this.#reserve(4);
    new DataView(this.#written.buffer).setFloat32(this.#length, value, true);
    this.#length += 4;
    return this;
  }

  /** A field of raw bytes, kept by reference: do not write to them before `finish()`. */
  bytes(field: number, value: Uint8Array): this {
    this.#tag(field, LENGTH_DELIMITED);
    this.#varint(value.length);
    this.#keep(this.#length, value);
    return this;
  }

  string(field: number, value: string): this {
    this.#tag(field, LENGTH_DELIMITED);
    const start = this.#length;
    this.#varint(value.length);
    this.#reserve(value.length);
    for (let i = 0; i < value.length; i++) {
      const code = value.charCodeAt(i);
      if (code > 127) { // names are ASCII, and the encoder's price is that of many of them
        this.#length = start;
        return this.#delimited(text.encode(value));
      }
      this.#written[this.#length++] = code;
    }
    return this;
  }

  integers(field: number, values: readonly number[]): this {
    const packed = new MessageWriter();
    for (const value of values) packed.#varint(value);
    return this.message(field, packed);
  }

  /** A nested message field, its byte fields kept by reference. */
  message(field: number, value: MessageWriter): this {
    this.#tag(field, LENGTH_DELIMITED);
    this.#varint(value.byteLength);
    for (const { before, bytes } of value.#kept) this.#keep(this.#length + before, bytes);
    this.#push(value.#written.subarray(0, value.#length));
    return this;
  }

  /** The message in one piece. */
  finish(): Uint8Array<ArrayBuffer> {
    const whole = new Uint8Array(this.byteLength);
    let [read, at] = [0, 0];
    const copy = (bytes: Uint8Array): void => {
      whole.set(bytes, at);
      at += bytes.length;
    };
    for (const { before, bytes } of this.#kept) {
      copy(this.#written.subarray(read, before));
      copy(bytes);
      read = before;
    }
    copy(this.#written.subarray(read, this.#length));
    return whole;
  }

  #tag(field: number, wireType: number): void {
    this.#varint(field * 8 + wireType);
  }

  #varint(value: number): void {
    this.#reserve(10); // the longest
    if (value < 0 || !Number.isSafeInteger(value)) return this.#longVarint(value);
    let rest = value;
    for (; rest > 127; rest = Math.floor(rest / 128)) {
      this.#written[this.#length++] = rest % 128 | 128;
    }
    this.#written[this.#length++] = rest;
  }

  /** Of 64 bits. BigInt, which refuses what is not whole, is too slow for numbers of a few bytes. */
  #longVarint(value: number): void {
    let rest = BigInt.asUintN(64, BigInt(value));
    for (; rest > 127n; rest >>= 7n) this.#written[this.#length++] = Number(rest & 127n) | 128;
    this.#written[this.#length++] = Number(rest);
  }

  #delimited(bytes: Uint8Array): this {
    this.#varint(bytes.length);
    this.#push(bytes);
    return this;
  }

  #push(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#written.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  #keep(before: number, bytes: Uint8Array): void {
    this.#kept.push({ before, bytes });
    this.#keptLength += bytes.length;
  }

  /** Makes room for so many bytes more. */
  #reserve(count: number): void {
    const wanted = this.#length + count;
    if (wanted <= this.#written.length) return;
    const larger = new Uint8Array(Math.max(wanted, 2 * this.#written.length));
    larger.set(this.#written.subarray(0, this.#length));
    this.#written = larger;
  }
}
