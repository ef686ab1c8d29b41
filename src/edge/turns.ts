/**
 * Requests take turns.
 *
 * In an isolate, what a request began may end with that request. So no request may depend on another:
 * each waits until the one before it is done, and then generates its own pictures.
 */

export interface TurnOptions {
  /** Most that wait. */
  readonly limit: number;
  /** Longest wait for the turn before, in seconds: its request may have vanished silently. */
  readonly seconds: number;
}

/** The result of waiting: a turn, which must be ended, or why there is none. */
export type Turn =
  | { readonly kind: "turn"; readonly end: () => void }
  | { readonly kind: "full" }
  | { readonly kind: "stuck" };

export class Turns {
  #last: Promise<void> = Promise.resolve();
  #waiting = 0;

  constructor(readonly options: TurnOptions) {}

  /** Waits for a turn; a turn before it that does not end in time counts as abandoned. */
  async take(): Promise<Turn> {
    if (this.#waiting >= this.options.limit) return { kind: "full" };
    const before = this.#last;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#last = promise;
    this.#waiting++;
    try {
      if (await within(before, this.options.seconds)) return { kind: "turn", end: resolve };
      resolve();
      return { kind: "stuck" };
    } finally {
      this.#waiting--;
    }
  }
}

/** Whether a promise settles within so many seconds. */
export async function within(promise: Promise<unknown>, seconds: number): Promise<boolean> {
  const late = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => late.resolve(false), seconds * 1000);
  const settled = (): boolean => true;
  try {
    return await Promise.race([promise.then(settled, settled), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
