/**
 * Refusals of queues, wherever they are.
 */

import { RequestError } from "./request_error.ts";

/** Too many wait; `seconds` from now there should be a place. */
export function queueFull(limit: number, seconds: number): RequestError {
  return new RequestError(`Cannot add the job: the queue is full (${limit} jobs)`, {
    status: 429,
    code: "queue_full",
    headers: { "retry-after": `${seconds}` },
  });
}

/** A server that ends takes nothing new, and may not end what it began. */
export function stopping(message = "The server is shutting down"): RequestError {
  return new RequestError(message, {
    status: 503,
    code: "draining",
    headers: { "retry-after": "10" },
  });
}

/** The client has waited long enough. */
export function tooLate(seconds: number): RequestError {
  return new RequestError(`Cannot complete the job: it took longer than ${seconds} s`, {
    status: 504,
    code: "deadline_exceeded",
  });
}
