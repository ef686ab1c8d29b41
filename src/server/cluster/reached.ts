/**
 * A store that may be away.
 */

import { RequestError } from "../request_error.ts";

/** What the store answers; one that cannot be reached is no fault of the client, who may come back. */
export async function reached<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (cause) {
    if (cause instanceof RequestError) throw cause;
    throw new RequestError("Cannot reach the queue", {
      status: 503,
      code: "queue_unreachable",
      headers: { "retry-after": "5" },
      cause,
    });
  }
}
