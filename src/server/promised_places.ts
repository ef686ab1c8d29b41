/**
 * Places that clients were refused and promised: who comes back when `Retry-After` said finds room.
 *
 * HTTP has no tickets, so clients are not told apart: whoever comes when a promise is due counts as the one
 * who got it, and all others are new. New ones go to the end of the line, even while a place is free that was
 * promised to somebody; otherwise clients that are always there take every place before those that wait as they
 * were told.
 */

/** A promise that was not redeemed yet. */
interface Promised {
  /** Lower ones were given earlier; it is kept by a client that comes back too early. */
  readonly rank: number;
  /** When it may be redeemed, in milliseconds. */
  readonly due: number;
}

/** What there is when a client asks. */
export interface Vacancy {
  /** Places that are free. */
  readonly free: number;
  /** Whether waiting for those who were promised a place would waste it. */
  readonly urgent: boolean;
  /** Seconds until a place is free that is not now; 0 is the next one. */
  readonly secondsUntil: (place: number) => number;
}

export interface PromisedPlacesOptions {
  /** Longest time that is promised, in seconds. */
  readonly most: number;
  /** A clock in milliseconds; `Date.now` unless given. */
  readonly now?: (() => number) | undefined;
}

/** Timers of clients are not exact: so many milliseconds early is not too early. */
export const EARLY_MS = 20;
/** A client that is so many milliseconds late has given up. */
export const LATE_MS = 5000;
/** Most that are remembered: some clients ask again and again without waiting. */
export const MOST_PROMISES = 1000;

export class PromisedPlaces {
  #promises: Promised[] = [];
  #ranks = 0;

  constructor(readonly options: PromisedPlacesOptions) {}

  /** Lets a client in (`undefined`), or says after how many whole seconds it should come back. */
  ask({ free, urgent, secondsUntil }: Vacancy): number | undefined {
    const now = (this.options.now ?? Date.now)();
    this.#promises = this.#promises.filter(({ due }) => due + LATE_MS >= now);
    const redeemed = this.#redeem(now);
    const isUnpromised = free > this.#promises.length;
    if (free > 0 && (redeemed !== undefined || urgent || isUnpromised)) return undefined;
    const rank = redeemed?.rank ?? this.#ranks++;
    const before = this.#promises.filter((promise) => promise.rank < rank).length;
    const wait = before < free ? 0 : secondsUntil(before - free);
    const seconds = Math.max(1, Math.ceil(wait));
    if (seconds > this.options.most) return this.options.most; // nothing is promised for then
    if (this.#promises.length < MOST_PROMISES) {
      this.#promises.push({ rank, due: now + seconds * 1000 });
    }
    return seconds;
  }

  /** Takes away the oldest promise of those that are due. */
  #redeem(now: number): Promised | undefined {
    const due = this.#promises.filter((promise) => promise.due - EARLY_MS <= now);
    const [first] = due.sort((a, b) => a.rank - b.rank);
    this.#promises = this.#promises.filter((promise) => promise !== first);
    return first;
  }
}
