/** A clock for tests: it waits for nobody, and remembers how long it was asked to. */

import type { Clock } from "../../../src/assets/store/retry.ts";
import { PATIENCE_MS } from "../../../src/assets/hub/hub_request.ts";

/** A clock that tests turn. */
export interface FakeClock extends Clock {
  /** Milliseconds that were slept, in order; watching servers is not sleeping. */
  readonly slept: number[];
}

/** Sleeping turns the clock at once; the patience for a server ends with `silent`, once, or never. */
export function fakeClock(silent?: Promise<void>): FakeClock {
  const slept: number[] = [];
  let time = 0;
  let silences = silent;
  return {
    slept,
    now: () => time,
    sleep: async (milliseconds, signal): Promise<void> => {
      signal?.throwIfAborted();
      if (milliseconds <= PATIENCE_MS && milliseconds > PATIENCE_MS - 1000) {
        const stopped = Promise.withResolvers<void>();
        signal?.addEventListener("abort", () => stopped.reject(signal.reason), { once: true });
        await Promise.race([stopped.promise, silences ?? stopped.promise]);
        silences = undefined; // one silence is the end of one patience
        time += PATIENCE_MS;
        return;
      }
      slept.push(milliseconds);
      time += milliseconds;
      await new Promise((resolve) => setTimeout(resolve)); // others go on, as in a real sleep
    },
  };
}
