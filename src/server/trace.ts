/**
 * Traces: one id that a request keeps on its way through proxies, servers, the queue and the worker that draws it.
 *
 * *Source:* W3C, "Trace Context", level 1: the header `traceparent`.
 */

import type { Context, MiddlewareHandler } from "npm:hono@4.13.19";

/** Name of the header, of requests and of answers. */
const TRACEPARENT = "traceparent";
/** Version, id of the trace, id of the span that asks, flags; later versions may say more behind a dash. */
const PATTERN = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
/** Decided by whoever records: this server passes on what it is told, and says of its own traces that it keeps them. */
const SAMPLED = "01";

/** Gives each request a span of the trace that it comes with, or of a new one, and says which in the answer. */
export function traced(): MiddlewareHandler {
  return async (context, next) => {
    const span = nextSpan(context.req.header(TRACEPARENT));
    context.set(TRACEPARENT, span);
    await next();
    context.header(TRACEPARENT, span); // of refusals too, which handlers did not begin
  };
}

/** The span of a request, as a `traceparent`. */
export function spanOf(context: Context): string {
  return context.get(TRACEPARENT);
}

/** A new span of the trace that a `traceparent` names; of a new trace where it names none. */
export function nextSpan(parent: string | undefined): string {
  const [, version, trace, span, flags, more] = PATTERN.exec(parent ?? "") ?? [];
  const isKnown = version !== undefined && version !== "ff" && !(version === "00" && more) &&
    !isZero(trace!) && !isZero(span!);
  return isKnown ? `00-${trace}-${hex(8)}-${flags}` : `00-${hex(16)}-${hex(8)}-${SAMPLED}`;
}

/** The id of its trace: 32 hexadecimal digits, by which logs are searched. */
export function traceIdOf(span: string): string {
  return span.slice(3, 35);
}

function isZero(id: string): boolean {
  return /^0+$/.test(id);
}

function hex(bytes: number): string {
  const random = crypto.getRandomValues(new Uint8Array(bytes));
  return [...random].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
