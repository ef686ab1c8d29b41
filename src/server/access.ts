/**
 * Who may ask: host names, bearer keys, and a rate limit for each.
 *
 * `hono-rate-limiter` counts in windows with a timer of its own, and in one process.
 */

import type { Context, MiddlewareHandler } from "npm:hono@4.13.19";
import { timingSafeEqual } from "npm:hono@4.13.19/utils/buffer";
import { askerOf, digestOf } from "./key_digest.ts";
import { HASHED_KEY } from "./key_list.ts";
import type { RateLimit, Rates } from "./rates.ts";
import { RequestError } from "./request_error.ts";

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
 * Lets requests with one of the keys through. From here on the server holds their digests only, and compares those,
 * each with all of its digits, in constant time.
 *
 * @param keys Keys, or `sha256:` and their digests.
 * @throws {RequestError} 401, by way of Hono, for all others.
 */
export function requireKey(keys: readonly string[]): MiddlewareHandler {
  const known = keys.map((key) => HASHED_KEY.exec(key)?.[1] ?? digestOf(key));
  return async (context, next) => {
    const given = digestOf(keyOf(context));
    const same = await Promise.all(known.map((digest) => timingSafeEqual(digest, given)));
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
  limit: RateLimit,
  { keyed, rates }: { readonly keyed: boolean; readonly rates: Rates },
): MiddlewareHandler {
  return async (context, next) => {
    if (context.req.method !== "POST") return await next(); // to look at jobs costs nothing
    const asker = keyed ? askerOf(keyOf(context)) : "";
    const seconds = await rates.pass(asker, limit);
    if (seconds === undefined) return await next();
    throw new RequestError(`Too many requests: each key may send ${limit.perMinute} a minute`, {
      status: 429,
      code: "rate_limit_exceeded",
      headers: { "retry-after": `${seconds}` },
    });
  };
}
