/**
 * A store that may be away.
 */

import { RequestError } from "../request_error.ts";
import { codeOf } from "./postgres/failures.ts";

/** What Redis says when it has no room for more in memory or on disk, itself or out of a script of ours. */
const REDIS_IS_FULL = /^OOM |\bOOM command not allowed|No space left on device/;
/** What Postgres says then: `disk_full`, `out_of_memory`. *Source:* PostgreSQL's manual, appendix A. */
const POSTGRES_IS_FULL: readonly unknown[] = ["53100", "53200"];

/** What the store answers; one that cannot be reached is no fault of the client, who may come back. */
export async function reached<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (cause) {
    if (cause instanceof RequestError) throw cause;
    throw isFull(cause)
      ? unavailable("use the queue: its memory or disk is full", "queue_out_of_memory", {
        cause,
        after: 30,
      })
      : unavailable("reach the queue", "queue_unreachable", { cause, after: 5 });
  }
}

function isFull(cause: unknown): boolean {
  if (POSTGRES_IS_FULL.includes(codeOf(cause))) return true;
  return cause instanceof Error && REDIS_IS_FULL.test(cause.message);
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
