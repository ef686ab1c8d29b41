/**
 * Watches over jobs whose clients want to see them come, whichever servers they follow them at: what
 * `src/server/watch.ts` does in one process.
 *
 * A server says again and again that somebody follows a job, and the store forgets by itself, so that the last
 * word of a server that died does not hold a job forever. Workers' keepers end what nobody follows.
 */

import { ANNOUNCE_MS, type TaskStore } from "./store.ts";

/** A server says so many times that somebody follows, before the store forgets it. */
const REMINDERS = 3;
/**
 * Milliseconds without a look at watched jobs after which their followers get as long to come back: the store or all
 * workers were away, and servers could not say who follows. Shorter than what two reminders of the default cover.
 */
const PAUSE_MS = 2 * ANNOUNCE_MS;

/** Watches of all jobs. */
export class Watches {
  constructor(readonly tasks: TaskStore) {}

  /** Says that a job is followed, until the function that is returned is called; then `seconds` are left to come back. */
  follow(id: string, seconds: number): () => void {
    const say = (): void => void this.tasks.follow(id, seconds * 1000).catch(() => {}); // the store is away
    say();
    const timer = setInterval(say, seconds * 1000 / REMINDERS);
    return () => {
      clearInterval(timer);
      say();
    };
  }

  /** Cancels jobs that were to be watched and that nobody follows. */
  async endUnwatched(): Promise<void> {
    await this.tasks.endUnwatched(PAUSE_MS);
  }
}
