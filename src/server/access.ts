/**
 * Who may ask: host names, bearer keys, and a rate limit for each.
 *
 * `hono-rate-limiter` counts in windows with a timer of its own; a token bucket needs none and lets short
 * bursts through.
 */

import type { Context, MiddlewareHandler } from "npm:hono@4.13.19";
import { timingSafeEqual } from "npm:hono@4.13.19/utils/buffer";
import { PromisedPlaces } from "./promised_places.ts";
import { RequestError } from "./request_error.ts";

/** Requests that a key may make. */
export interface RateLimit {
  /** Each minute, on average. */
  readonly perMinute: number;
  /** At once. */
  readonly burst: number;
}

/** Requests that the page makes at one press: eight pictures, each beside the one without a plan. */
const PRESS = 16;

/** So many requests a minute, and at once those of ten seconds, but no fewer than the page makes. */
export function rateOf(perMinute: number): RateLimit {
  return { perMinute, burst: Math.max(PRESS, perMinute / 6) };
}

/** *Source:* RFC 6761, 6.3: names that lead to this machine; and addresses, which no name server can turn. */
const LOCAL_HOST = /^(?:(?:.+\.)?localhost|\d+(?:\.\d+){3}|\[.*\])$/;

/**
 * Lets requests through that call the host by an address, by `localhost` or by one of the names.
 *
 * @throws {RequestError} 421, by way of Hono, for all others.
 */
export function expectHost(names: readonly string[]): MiddlewareHandler {
  return async (context, next) => {
    const { hostname } = new URL(context.req.url);
    if (LOCAL_HOST.test(hostname) || names.includes(hostname)) return await next();
    throw new RequestError(
      `Cannot answer: this server is not known as ${hostname.slice(0, 100)} (serve --public-url)`,
      { status: 421, code: "misdirected_request" },
    );
  };
}

/** The key that a request came with, once it was let through; empty where there are no keys. */
export function keyOf({ req }: Context): string {
  return /^Bearer +(\S+) *$/i.exec(req.header("authorization") ?? "")?.[1] ?? "";
}

/**
 * Lets requests with one of the keys through. Keys are compared in constant time.
 *
 * @throws {RequestError} 401, by way of Hono, for all others.
 */
export function requireKey(keys: readonly string[]): MiddlewareHandler {
  return async (context, next) => {
    const given = keyOf(context);
    const same = await Promise.all(keys.map((key) => timingSafeEqual(key, given)));
    if (same.includes(true)) return await next();
    throw new RequestError(
      'Missing or unknown API key: send the header "Authorization: Bearer KEY"',
      { status: 401, code: "invalid_api_key", headers: { "www-authenticate": "Bearer" } },
    );
  };
}

/** Longest wait that a refused client is told, in seconds. */
const MOST_SECONDS = 3600;

/** What one key may still ask. */
interface Bucket {
  tokens: number;
  at: number;
  readonly places: PromisedPlaces;
}

/**
 * Lets so many requests for pictures (POST) of each key through; without keys, of all clients together.
 *
 * @throws {RequestError} 429, by way of Hono, for more.
 */
export function limitRate(
  { perMinute, burst }: RateLimit,
  { keyed, now = () => performance.now() }: {
    readonly keyed: boolean;
    readonly now?: () => number;
  },
): MiddlewareHandler {
  const buckets = new Map<string, Bucket>();
  const newBucket = (): Bucket => (
    { tokens: burst, at: now(), places: new PromisedPlaces({ most: MOST_SECONDS, now }) }
  );
  return async (context, next) => {
    if (context.req.method !== "POST") return await next(); // to look at jobs costs nothing
    const key = keyed ? keyOf(context) : ""; // a key was checked: they are few
    const bucket = buckets.get(key) ?? newBucket();
    buckets.set(key, bucket);
    const tokens = Math.min(burst, bucket.tokens + (now() - bucket.at) / 60_000 * perMinute);
    const free = Math.floor(tokens);
    const seconds = bucket.places.ask({
      free,
      urgent: tokens >= burst, // more are not saved
      secondsUntil: (place) => (free + 1 + place - tokens) * 60 / perMinute,
    });
    Object.assign(bucket, { tokens: seconds === undefined ? tokens - 1 : tokens, at: now() });
    if (seconds === undefined) return await next();
    throw new RequestError(`Too many requests: each key may send ${perMinute} a minute`, {
      status: 429,
      code: "rate_limit_exceeded",
      headers: { "retry-after": `${seconds}` },
    });
  };
}
