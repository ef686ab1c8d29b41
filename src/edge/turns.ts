/**
 * Requests take turns.
 *
 * In an isolate, what a request began may end with that request. So no request may depend on another:
 * each waits until the one before it is done, and then generates its own pictures.
 */

import { PromisedPlaces } from "../server/promised_places.ts";

export interface TurnOptions {
  /** Most that wait. */
  readonly limit: number;
  /** Longest wait for the turn before, in seconds: its request may have vanished silently. */
  readonly seconds: number;
  /** A clock in milliseconds; `Date.now` unless given. */
  readonly now?: () => number;
}

/** The result of waiting: a turn, which must be ended, or why there is none. */
export type Turn =
  | { readonly kind: "turn"; readonly end: () => void }
  /** Who comes back after so many seconds finds a place. */
  | { readonly kind: "full"; readonly seconds: number }
  | { readonly kind: "stuck" };

/** Seconds that a turn takes, before any was measured: those of a picture on a slow processor. */
const USUAL_SECONDS = 5;
/** Share that the newest turn has in what a turn takes. */
const NEWEST = 0.25;

export class Turns {
  readonly #places: PromisedPlaces;
  readonly #now: () => number;
  #last: Promise<void> = Promise.resolve();
  #waiting = 0;
  #usual = USUAL_SECONDS;

  constructor(readonly options: TurnOptions) {
    const { seconds, now = Date.now } = options;
    this.#now = now;
    this.#places = new PromisedPlaces({ most: seconds * options.limit, now });
  }

  /** Waits for a turn; a turn before it that does not end in time counts as abandoned. */
  async take(): Promise<Turn> {
    const seconds = this.#places.ask({
      free: this.options.limit - this.#waiting,
      urgent: this.#waiting === 0,
      secondsUntil: (place) => (place + 1) * this.#usual,
    });
    if (seconds !== undefined) return { kind: "full", seconds };
    const before = this.#last;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#last = promise;
    this.#waiting++;
    try {
      if (await within(before, this.options.seconds)) {
        return { kind: "turn", end: this.#measured(resolve) };
      }
      resolve();
      return { kind: "stuck" };
    } finally {
      this.#waiting--;
    }
  }

  /** Ends a turn that begins now, and learns how long it took. */
  #measured(end: () => void): () => void {
    const began = this.#now();
    return () => {
      this.#usual += NEWEST * ((this.#now() - began) / 1000 - this.#usual);
      end();
    };
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
