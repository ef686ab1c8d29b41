/**
 * What a run keeps on the device between its steps: features of modules, hidden state, trunk residual.
 *
 * A cache is born and disposed with one run, so a run that was cut short leaves nothing behind that the
 * next one could load.
 *
 * @module
 */

import type { Value } from "../backend/backend.ts";

/** Tensors of one result: one, or one for each stream of a joint attention. */
type Result = readonly Value[];

/** A short history of results by name, the latest first. */
export class FeatureCache {
  readonly #histories = new Map<string, readonly Result[]>();
  #bytes = 0;
  #peakBytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  get peakBytes(): number {
    return this.#peakBytes;
  }

  /** Takes a result over; of those under the name the latest `keep` stay, this one included. */
  store(name: string, result: Result, keep = 1): void {
    this.trim(name, keep - 1);
    this.#histories.set(name, [result, ...this.#historyOf(name)]);
    this.#bytes += sizeOf(result);
    this.#peakBytes = Math.max(this.#peakBytes, this.#bytes);
  }

  /**
   * A result kept under a name; it stays the cache's own.
   *
   * @param age How many later results there must be: 0 for the latest.
   * @throws {Error} When there is none, or of another shape: a fault of ours, never of the caller's.
   */
  load(name: string, shapes: readonly (readonly number[])[], age = 0): Result {
    const values = this.#historyOf(name)[age];
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

  /** Hands over the latest result under a name, if there is one; the caller disposes of it. */
  take(name: string): Result {
    const [latest = [], ...older] = this.#historyOf(name);
    this.#histories.set(name, older);
    this.#bytes -= sizeOf(latest);
    return latest;
  }

  /** Disposes of all results under a name but the latest `keep`. */
  trim(name: string, keep: number): void {
    const history = this.#historyOf(name);
    this.#histories.set(name, history.slice(0, keep));
    for (const result of history.slice(keep)) {
      this.#bytes -= sizeOf(result);
      for (const value of result) value.dispose();
    }
  }

  dispose(): void {
    for (const name of this.#histories.keys()) this.trim(name, 0);
  }

  #historyOf(name: string): readonly Result[] {
    return this.#histories.get(name) ?? [];
  }
}

function sizeOf(result: Result): number {
  return result.reduce((sum, { byteLength }) => sum + byteLength, 0);
}
