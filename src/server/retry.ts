/**
 * Requests that are sent again: with the same `Idempotency-Key` a client gets the job that it began the first time,
 * not another.
 *
 * The job's id is made of that key, so that all servers of a shared queue find the same one without asking each other;
 * of the API key too, so that nobody else can ask for it.
 *
 * *Source:* IETF, "The Idempotency-Key HTTP Header Field" (draft-ietf-httpapi-idempotency-key-header).
 */

import type { Context } from "npm:hono@4.13.19";
import { keyOf } from "./access.ts";
import { digestOf } from "./key_digest.ts";
import { RequestError } from "./request_error.ts";

/** A request that may come again. */
export interface Retry {
  /** Id of its job. */
  readonly id: string;
  /** Of all that it asks for. */
  readonly digest: string;
}

/** Longest key; a client makes up 36 letters. */
export const LONGEST_RETRY_KEY = 255;

/**
 * What a request says of being sent again; nothing without the header.
 *
 * @param asked All that it asks for.
 * @throws {RequestError} 400 when the key is too long.
 */
export function retryOf(context: Context, asked: unknown): Retry | undefined {
  const key = context.req.header("idempotency-key");
  if (key === undefined || key === "") return undefined;
  if (key.length > LONGEST_RETRY_KEY) {
    throw new RequestError(
      `Cannot generate: Idempotency-Key must have at most ${LONGEST_RETRY_KEY} letters: current value has ${key.length}`,
      { code: "invalid_value", param: "Idempotency-Key" },
    );
  }
  const hex = digestOf(JSON.stringify([keyOf(context), key]));
  const id = [[0, 8], [8, 12], [12, 16], [16, 20], [20, 32]].map((part) => hex.slice(...part));
  return { id: id.join("-"), digest: digestOf(JSON.stringify([context.req.path, asked])) };
}

/**
 * Refuses another request under a key that was used.
 *
 * @throws {RequestError} 422.
 */
export function expectRetry(first: string | undefined, { digest }: Retry): void {
  if (first === digest) return;
  throw new RequestError(
    "Cannot generate: Idempotency-Key must be a new one for a request that differs from its first",
    { status: 422, code: "idempotency_key_reused", param: "Idempotency-Key" },
  );
}
