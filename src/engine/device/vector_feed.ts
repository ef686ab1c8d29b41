/**
 * The modulation vectors of all steps of a run on the device: written once where they fit, else some steps at a time.
 */

import type { Buffers, Place } from "../../backend/gpu/memory.ts";

/** What a step takes: how many bytes, and what writes them. */
export interface Feed {
  readonly byteLength: number;
  readonly fill: (numbers: Float32Array) => void;
}

/** Bytes on the device; a step that takes more has room for itself alone. */
const TABLE_BYTES = 64 << 20;

/** Feeds of steps, asked for in order. */
export class VectorFeed {
  readonly #table: Place;
  /** By step that is written: bytes in front of it. */
  #written = new Map<number, number>();

  constructor(readonly buffers: Buffers, readonly feeds: readonly Feed[]) {
    const all = feeds.reduce((sum, { byteLength }) => sum + byteLength, 0);
    const largest = Math.max(...feeds.map(({ byteLength }) => byteLength));
    this.#table = buffers.make(Math.max(largest, Math.min(all, TABLE_BYTES)));
  }

  /** Where the numbers of a step are. */
  place(step: number): Place {
    if (!this.#written.has(step)) this.#write(step);
    const { byteLength: size } = this.feeds[step]!; // a step of the run
    return { buffer: this.#table.buffer, offset: this.#written.get(step)!, size };
  }

  dispose(): void {
    this.buffers.free(this.#table);
  }

  /** Writes this step and as many after it as there is room for, over those before it: the queue keeps their order. */
  #write(first: number): void {
    this.#written = new Map();
    let end = 0;
    let next = first;
    while (next < this.feeds.length && end + this.feeds[next]!.byteLength <= this.#table.size) {
      this.#written.set(next, end);
      end += this.feeds[next++]!.byteLength;
    }
    const numbers = new Float32Array(end / 4);
    for (const [step, at] of this.#written) {
      const { byteLength, fill } = this.feeds[step]!;
      fill(numbers.subarray(at / 4, (at + byteLength) / 4));
    }
    this.buffers.device.queue.writeBuffer(this.#table.buffer, 0, numbers);
  }
}
