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
    throw cause instanceof Error && NO_ROOM.test(cause.message)
      ? unavailable("use the queue: its memory is full", "queue_out_of_memory", {
        cause,
        after: 30,
      })
      : unavailable("reach the queue", "queue_unreachable", { cause, after: 5 });
  }
}

/** What the place of results answers, wherever it is. */
export async function resultsReached<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (cause) {
    const what = "reach the place where pictures are kept";
    throw unavailable(what, "results_unreachable", { cause, after: 5 });
  }
}

/** A 503 whose client may come back after so many seconds. */
function unavailable(
  what: string,
  code: string,
  { cause, after }: { readonly cause: unknown; readonly after: number },
): RequestError {
  const headers = { "retry-after": `${after}` };
  return new RequestError(`Cannot ${what}`, { status: 503, code, headers, cause });
}
