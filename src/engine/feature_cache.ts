/**
 * What a run keeps on the device between its steps: features of modules, hidden state, trunk residual.
 *
 * A cache is born and disposed with one run, so a run that was cut short leaves nothing behind that the
 * next one could load.
 *
 * @module
 */

import type { Value } from "../backend/backend.ts";

/** Values by name; an entry is a list, for a joint attention keeps one feature a stream. */
export class FeatureCache {
  readonly #entries = new Map<string, readonly Value[]>();
  #bytes = 0;
  #peakBytes = 0;

  /** Bytes kept now. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The most bytes kept at any moment. */
  get peakBytes(): number {
    return this.#peakBytes;
  }

  /** Takes values over; what was kept under the name is disposed of. */
  store(name: string, values: readonly Value[]): void {
    this.drop(name);
    this.#entries.set(name, values);
    this.#bytes += sizeOf(values);
    this.#peakBytes = Math.max(this.#peakBytes, this.#bytes);
  }

  /**
   * The values kept under a name; they stay the cache's own.
   *
   * @throws {Error} When there are none, or of another shape: a fault of ours, never of the caller's.
   */
  load(name: string, shapes: readonly (readonly number[])[]): readonly Value[] {
    const values = this.#entries.get(name);
    if (values === undefined) {
      throw new Error(`Internal error: ${name} is loaded but was not stored`);
    }
    const wrong = shapes.findIndex((dims, i) => `${values[i]?.dims}` !== `${dims}`);
    if (wrong < 0 && values.length === shapes.length) return values;
    throw new Error(
      `Internal error: kept ${name} must be [${shapes[wrong]}]: current value is [${
        values[wrong]?.dims
      }]`,
    );
  }

  /** Hands over what is kept under a name; the caller disposes of it. */
  take(name: string): readonly Value[] {
    const values = this.#entries.get(name) ?? [];
    this.#entries.delete(name);
    this.#bytes -= sizeOf(values);
    return values;
  }

  /** Disposes of what is kept under a name, if anything is. */
  drop(name: string): void {
    for (const value of this.take(name)) value.dispose();
  }

  /** Disposes of everything. */
  dispose(): void {
    for (const name of [...this.#entries.keys()]) this.drop(name);
  }
}

function sizeOf(values: readonly Value[]): number {
  return values.reduce((sum, { byteLength }) => sum + byteLength, 0);
}
