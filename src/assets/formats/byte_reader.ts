/**
 * Little-endian numbers and stretches out of bytes from outside, never beyond their end.
 */

import { fail } from "../read_errors.ts";

/** Reads forward; everything it gives lies inside of the bytes, or an `AssetError` says why not. */
export class ByteReader {
  readonly #view: DataView;
  #at = 0;

  /** @param thing What the bytes are, for messages, such as `data.pkl of model.pt`. */
  constructor(readonly bytes: Uint8Array, readonly thing: string) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get at(): number {
    return this.#at;
  }

  get left(): number {
    return this.bytes.length - this.#at;
  }

  uint8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  uint16(): number {
    return this.#view.getUint16(this.#advance(2), true);
  }

  uint32(): number {
    return this.#view.getUint32(this.#advance(4), true);
  }

  int32(): number {
    return this.#view.getInt32(this.#advance(4), true);
  }

  /** An unsigned 64-bit number, which must be a safe integer. */
  uint64(): number {
    const number = Number(this.#view.getBigUint64(this.#advance(8), true));
    if (Number.isSafeInteger(number)) return number;
    fail(
      this.thing,
      `the number at byte ${this.#at - 8} must be below 2^53: current value is ${number}`,
    );
  }

  /** A big-endian float64, as pickles have it. */
  float64(): number {
    return this.#view.getFloat64(this.#advance(8), false);
  }

  /** The next bytes, not copied. */
  take(length: number): Uint8Array {
    const at = this.#advance(length);
    return this.bytes.subarray(at, at + length);
  }

  /** The next bytes as UTF-8. */
  text(length: number): string {
    const at = this.#at;
    try {
      return UTF8.decode(this.take(length));
    } catch (cause) {
      if (!(cause instanceof TypeError)) throw cause;
      fail(this.thing, `the text at byte ${at} must be UTF-8`, cause);
    }
  }

  /** The bytes up to a line feed, which is read too, as UTF-8. */
  line(limit: number): string {
    const length = this.bytes.subarray(this.#at, this.#at + limit).indexOf(10);
    if (length < 0) {
      fail(this.thing, `the line at byte ${this.#at} must end within ${limit} bytes`);
    }
    const line = this.text(length);
    this.#at++;
    return line;
  }

  #advance(length: number): number {
    const at = this.#at;
    if (length > this.left) {
      fail(
        this.thing,
        `it must have ${length} bytes at byte ${at}: current value is ${this.left} bytes`,
      );
    }
    this.#at += length;
    return at;
  }
}

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
