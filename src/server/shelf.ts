/**
 * Things kept for a while: the oldest go when there are too many, all go when they are too old. No timer:
 * whoever comes by clears up.
 *
 * @module
 */

/** Bounds of a shelf. */
export interface ShelfOptions {
  /** Most things. */
  readonly most: number;
  /** Longest time, in seconds. */
  readonly seconds: number;
  /** A clock in milliseconds; `performance.now` unless given. */
  readonly now?: () => number;
}

/** Things by name. */
export class Shelf<T> {
  readonly #things = new Map<string, { readonly thing: T; readonly until: number }>();
  readonly #now: () => number;

  /** Makes an empty shelf. */
  constructor(readonly options: ShelfOptions) {
    this.#now = options.now ?? (() => performance.now());
  }

  /** How many are there. */
  get size(): number {
    this.#clear();
    return this.#things.size;
  }

  /** Puts a thing there, under a new or a used name. */
  put(name: string, thing: T): void {
    this.#things.delete(name); // a thing that is put again is the newest
    this.#things.set(name, { thing, until: this.#now() + this.options.seconds * 1000 });
    this.#clear();
  }

  /** The thing of that name, if it is still there. */
  get(name: string): T | undefined {
    this.#clear();
    return this.#things.get(name)?.thing;
  }

  #clear(): void {
    const now = this.#now();
    for (const [name, { until }] of this.#things) {
      if (until > now && this.#things.size <= this.options.most) return; // the rest is newer
      this.#things.delete(name);
    }
  }
}
