/**
 * How often each key may ask: token buckets, which need no timer and let short bursts through.
 */

import { PromisedPlaces } from "./promised_places.ts";

/** Requests that a key may make. */
export interface RateLimit {
  /** Each minute, on average. */
  readonly perMinute: number;
  /** At once. */
  readonly burst: number;
}

/** Requests that the page makes at one press: eight pictures, each beside the one without a plan. */
const PRESS = 16;
/** Longest wait that a refused client is told, in seconds. */
export const MOST_SECONDS = 3600;

/** So many requests a minute, and at once those of ten seconds, but no fewer than the page makes. */
export function rateOf(perMinute: number): RateLimit {
  return { perMinute, burst: Math.max(PRESS, perMinute / 6) };
}

/** Where requests are counted: in this process, or where all servers of a shared queue count them. */
export interface Rates {
  /** Lets a request of an asker pass (`undefined`), or says after how many whole seconds it should come back. */
  pass(asker: string, limit: RateLimit): Promise<number | undefined>;
}

/** What one asker may still ask. */
interface Bucket {
  tokens: number;
  at: number;
  readonly places: PromisedPlaces;
}

/** Counts in the memory of this process. */
export class LocalRates implements Rates {
  readonly #buckets = new Map<string, Bucket>();

  /** @param now A clock in milliseconds. */
  constructor(readonly now: () => number = () => performance.now()) {}

  async pass(asker: string, { perMinute, burst }: RateLimit): Promise<number | undefined> {
    const { now } = this;
    const bucket = this.#buckets.get(asker) ?? this.#newBucket(burst);
    this.#buckets.set(asker, bucket); // of a key that was checked: they are few
    const tokens = Math.min(burst, bucket.tokens + (now() - bucket.at) / 60_000 * perMinute);
    const free = Math.floor(tokens);
    const seconds = bucket.places.ask({
      free,
      urgent: tokens >= burst, // more are not saved
      secondsUntil: (place) => (free + 1 + place - tokens) * 60 / perMinute,
    });
    Object.assign(bucket, { tokens: seconds === undefined ? tokens - 1 : tokens, at: now() });
    return await Promise.resolve(seconds);
  }

  #newBucket(tokens: number): Bucket {
    const { now } = this;
    return { tokens, at: now(), places: new PromisedPlaces({ most: MOST_SECONDS, now }) };
  }
}
