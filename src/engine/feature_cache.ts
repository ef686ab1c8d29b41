/**
 * What a run keeps on the device between its steps: features of modules, hidden state, trunk residual.
 *
 * A cache belongs to one run and is disposed of with it, so a run that was cut short leaves nothing that
 * the next one could load.
 */

import type { Value } from "../backend/backend.ts";
import { TokenRecord } from "./segment/token_record.ts";

/** Tensors of one result: one, or one for each stream of a joint attention. */
type Result = readonly Value[];

/** Name under which the features of a module are kept for one call of the model in a step. */
export function featureKey(slot: string, { name }: { readonly name: string }): string {
  return `${slot} ${name}`;
}

/** A short history of results by name, the latest first. */
export class FeatureCache {
  /** Which tokens of modules were computed when. */
  readonly tokens = new TokenRecord();
  readonly #histories = new Map<string, readonly Result[]>();
  #bytes = 0;
  #peakBytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  get peakBytes(): number {
    return this.#peakBytes;
  }

  /** Takes ownership of a result and keeps the latest `keep` of that name, this one included. */
  store(name: string, result: Result, keep = 1): void {
    this.trim(name, keep - 1);
    this.#histories.set(name, [result, ...this.#historyOf(name)]);
    this.#bytes += sizeOf(result);
    this.#peakBytes = Math.max(this.#peakBytes, this.#bytes);
  }

  /**
   * A result kept under a name; the cache still owns it.
   *
   * @param age 0 for the latest result, 1 for the one before it, and so on.
   * @throws {Error} When there is none, or its shape differs: a bug here, never a mistake of the caller.
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

  /** Removes and returns the latest result of a name, if there is one; the caller disposes of it. */
  take(name: string): Result {
    const [latest = [], ...older] = this.#historyOf(name);
    this.#histories.set(name, older);
    this.#bytes -= sizeOf(latest);
    return latest;
  }

  /** Disposes of all results of a name except the latest `keep`. */
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
