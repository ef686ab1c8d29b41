/**
 * A store that may be away.
 */

import { RequestError } from "../request_error.ts";

/** What Redis and Postgres say when they have no room for more. */
const NO_ROOM = /^OOM |\bOOM command not allowed|No space left|disk full|out of memory/i;

/** What the store answers; one that cannot be reached is no fault of the client, who may come back. */
export async function reached<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (cause) {
    if (cause instanceof RequestError) throw cause;
    throw cause instanceof Error && NO_ROOM.test(cause.message) ? noRoom(cause) : away(cause);
  }
}

/** What the place of results answers, wherever it is. */
export async function resultsReached<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (cause) {
    throw new RequestError("Cannot reach the place where pictures are kept", {
      status: 503,
      code: "results_unreachable",
      headers: { "retry-after": "5" },
      cause,
    });
  }
}

function noRoom(cause: Error): RequestError {
  return new RequestError("Cannot use the queue: its memory is full", {
    status: 503,
    code: "queue_out_of_memory",
    headers: { "retry-after": "30" },
    cause,
  });
}

function away(cause: unknown): RequestError {
  return new RequestError("Cannot reach the queue", {
    status: 503,
    code: "queue_unreachable",
    headers: { "retry-after": "5" },
    cause,
  });
}
