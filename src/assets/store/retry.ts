/**
 * Trying again: what is worth it, how often, and after how long.
 */

import { AssetError } from "../../errors.ts";

/** Time as waiting code sees it; tests have their own. */
export interface Clock {
  /** Milliseconds since any moment; never goes back. */
  now(): number;
  /** Resolves after that many milliseconds; rejects with the signal's reason when it is aborted. */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
}

export const CLOCK: Clock = {
  now: () => performance.now(),
  sleep: (milliseconds, signal) =>
    new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const stop = (): void => {
        clearTimeout(timer);
        reject(signal?.reason);
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener("abort", stop);
        resolve();
      }, milliseconds);
      signal?.addEventListener("abort", stop, { once: true });
    }),
};

/** Something that may go better next time: no answer, a cut, a server in trouble. */
export class Interruption extends AssetError {
  /** Milliseconds that the server wants us to wait, if it said so. */
  readonly retryAfter: number | undefined;

  /** The message as of any `AssetError`: it is thrown on when patience is over. */
  constructor(message: string, options: { retryAfter?: number | undefined; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.retryAfter = options.retryAfter;
  }
}

/** How long to go on. */
export interface RetryOptions {
  /** Waits between tries. */
  readonly clock: Clock;
  /** Tries in a row that got nothing; 6 unless given. */
  readonly tries?: number | undefined;
  /** How far it got: a try that got further than all before it counts as none. */
  readonly reached?: () => number;
  /** Told why, and after how many seconds it tries again. */
  readonly onRetry?: (text: string) => void;
  readonly signal?: AbortSignal | undefined;
}

const TRIES = 6;
const FIRST_DELAY_MS = 500;
/** Nobody waits longer than this for a server, whatever it says: 5 minutes. */
const LONGEST_DELAY_MS = 300_000;

/**
 * Does it until it is done; waits twice as long after each try that got nowhere.
 *
 * @throws {Interruption} The last one, when tries are used up; anything else at once.
 */
export async function persist<T>(attempt: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { clock, tries = TRIES, reached = (): number => 0, onRetry, signal } = options;
  let best = reached();
  for (let failed = 1;; failed++) {
    signal?.throwIfAborted();
    try {
      return await attempt();
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof Interruption)) throw error;
      if (reached() > best) failed = 1;
      best = Math.max(best, reached());
      if (failed >= tries) throw error;
      const delay = delayAfter(failed, error.retryAfter);
      onRetry?.(`${error.message}; trying again in ${(delay / 1000).toFixed(1)} s`);
      await clock.sleep(delay, signal);
    }
  }
}

/** Between half of and the whole doubled delay, so that many clients do not come back at once. */
function delayAfter(failed: number, retryAfter: number | undefined): number {
  if (retryAfter !== undefined) return Math.min(retryAfter, LONGEST_DELAY_MS);
  return FIRST_DELAY_MS * 2 ** (failed - 1) * (0.5 + Math.random() / 2);
}

/** The promise's value, or the signal's reason as soon as it is aborted; the work itself goes on. */
export async function abortable<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await work;
  signal.throwIfAborted();
  let stop: (() => void) | undefined;
  const stopped = new Promise<never>((_, reject) => { // Node 20 has no Promise.withResolvers
    stop = (): void => reject(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
  });
  try {
    return await Promise.race([work, stopped]);
  } finally {
    if (stop !== undefined) signal.removeEventListener("abort", stop);
  }
}

/** Milliseconds of a `retry-after` header, in seconds or as a date; `undefined` when it says nothing. */
export function retryAfterOf(text: string | null, now: number = Date.now()): number | undefined {
  if (text === null) return undefined;
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

/** What is watched for signs of life. */
export interface WatchOptions extends Pick<RetryOptions, "clock" | "signal"> {
  /** Name of the server's file, for the message. */
  readonly what: string;
  /** Milliseconds that nothing may come. */
  readonly patience: number;
}

/** A piece of work under watch. */
export interface Watch {
  /** Aborted by the caller's signal, or when patience is over. */
  readonly signal: AbortSignal;
  /** Something came. */
  touch(): void;
}

/**
 * Does work that is stopped when nothing comes for a while: a server that says nothing is as good as gone.
 *
 * @throws {Interruption} When patience is over; whatever the work throws.
 */
export async function watching<T>(
  { what, clock, patience, signal }: WatchOptions,
  work: (watch: Watch) => Promise<T>,
): Promise<T> {
  const [lost, over] = [new AbortController(), new AbortController()];
  let last = clock.now();
  const watch = async (): Promise<void> => {
    for (let rest = patience; rest > 0; rest = patience - (clock.now() - last)) {
      await clock.sleep(rest, over.signal);
    }
    lost.abort(
      new Interruption(`Cannot read ${what}: the server sent nothing for ${patience / 1000} s`),
    );
  };
  watch().catch(() => undefined); // it rejects when it is over, which is expected
  try {
    return await work({
      signal: AbortSignal.any([lost.signal, ...(signal === undefined ? [] : [signal])]),
      touch: () => void (last = clock.now()),
    });
  } finally {
    over.abort();
  }
}
