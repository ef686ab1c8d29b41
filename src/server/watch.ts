/**
 * A watch over a job whose client wants to see it come: when nobody follows it any more, it is cancelled. A tab
 * may be closed before it knows its job's id, or die without a word.
 */

import type { Job } from "./job.ts";

/** Followers of one job. */
export class Watch {
  #followers = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Begins the watch; a follower has `seconds` to come, or to come back. */
  constructor(readonly job: Job, readonly seconds: number) {
    this.#wait();
    void job.ended.then(() => clearTimeout(this.#timer));
  }

  /** Counts a follower; the function that is returned says that he is gone. */
  follow(): () => void {
    this.#followers++;
    clearTimeout(this.#timer);
    return () => {
      this.#followers--;
      if (this.#followers === 0) this.#wait();
    };
  }

  #wait(): void {
    if (!this.job.isOpen) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.job.cancel(), this.seconds * 1000);
  }
}
