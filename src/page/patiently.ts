/**
 * Waiting for a server that has no place: it says when to ask again.
 */

import { ApiError } from "./api.ts";
import type { RunOptions } from "./run.ts";

/** Asks again as long as the server says when. Rejects with the signal's reason when it is stopped. */
export async function patiently<T>(
  asks: () => Promise<T>,
  { onEvent, signal }: RunOptions,
): Promise<T> {
  for (;;) {
    try {
      return await asks();
    } catch (error) {
      if (!(error instanceof ApiError) || error.retryAfter === undefined) throw error;
      onEvent({ kind: "refused", why: error.message, seconds: error.retryAfter });
      await pause(error.retryAfter, signal);
    }
  }
}

/** Some seconds, unless it is stopped. */
function pause(seconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, seconds * 1000);
    if (signal.aborted) return stop();
    signal.addEventListener("abort", stop, { once: true });
  });
}
