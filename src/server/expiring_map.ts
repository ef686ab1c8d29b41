/**
 * A map whose entries expire: by age, and the oldest first when there are too many. No timer: every access
 * evicts.
 */

export interface ExpiringMapOptions {
  readonly most: number;
  /** Seconds that an entry is kept. */
  readonly seconds: number;
  /** A clock in milliseconds; `performance.now` unless given. */
  readonly now?: () => number;
}

export class ExpiringMap<T> {
  readonly #entries = new Map<string, { readonly value: T; readonly until: number }>();
  readonly #now: () => number;

  constructor(readonly options: ExpiringMapOptions) {
    this.#now = options.now ?? (() => performance.now());
  }

  get size(): number {
    this.#evict();
    return this.#entries.size;
  }

  /** Sets the value of a new or a used key. */
  set(key: string, value: T): void {
    this.#entries.delete(key); // a key that is set again is the newest
    this.#entries.set(key, { value, until: this.#now() + this.options.seconds * 1000 });
    this.#evict();
  }

  /** The value of a key, unless it has expired. */
  get(key: string): T | undefined {
    this.#evict();
    return this.#entries.get(key)?.value;
  }

  /** All values, those that were set first before the others. */
  values(): readonly T[] {
    this.#evict();
    return [...this.#entries.values()].map(({ value }) => value);
  }

  #evict(): void {
    const now = this.#now();
    for (const [key, { until }] of this.#entries) {
      if (until > now && this.#entries.size <= this.options.most) return; // the rest is newer
      this.#entries.delete(key);
    }
  }
}
