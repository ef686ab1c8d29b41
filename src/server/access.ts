/**
 * Bearer keys, and a rate limit for each.
 *
 * `hono-rate-limiter` counts in windows with a timer of its own; a token bucket needs none and lets short
 * bursts through.
 */

import type { MiddlewareHandler } from "npm:hono@4.13.19";
import { timingSafeEqual } from "npm:hono@4.13.19/utils/buffer";
import { RequestError } from "./request_error.ts";

/** Requests that a key may make. */
export interface RateLimit {
  /** Each minute, on average. */
  readonly perMinute: number;
  /** At once. */
  readonly burst: number;
}

/**
 * Lets requests with one of the keys through. Keys are compared in constant time.
 *
 * @throws {RequestError} 401, by way of Hono, for all others.
 */
export function requireKey(keys: readonly string[]): MiddlewareHandler {
  return async (context, next) => {
    const [, given = ""] = /^Bearer +(\S+) *$/i.exec(context.req.header("authorization") ?? "") ??
      [];
    const same = await Promise.all(keys.map((key) => timingSafeEqual(key, given)));
    if (same.includes(true)) return await next();
    throw new RequestError(
      'Missing or unknown API key: send the header "Authorization: Bearer KEY"',
      { status: 401, code: "invalid_api_key", headers: { "www-authenticate": "Bearer" } },
    );
  };
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
  const buckets = new Map<string, { tokens: number; at: number }>();
  return async (context, next) => {
    if (context.req.method !== "POST") return await next(); // to look at jobs costs nothing
    const key = keyed ? context.req.header("authorization") ?? "" : ""; // a key was checked: they are few
    const { tokens, at } = buckets.get(key) ?? { tokens: burst, at: now() };
    const filled = Math.min(burst, tokens + (now() - at) / 60_000 * perMinute);
    const allowed = filled >= 1;
    buckets.set(key, { tokens: allowed ? filled - 1 : filled, at: now() });
    if (allowed) return await next();
    const seconds = Math.ceil((1 - filled) * 60 / perMinute);
    throw new RequestError(`Too many requests: each key may send ${perMinute} a minute`, {
      status: 429,
      code: "rate_limit_exceeded",
      headers: { "retry-after": `${seconds}` },
    });
  };
}
