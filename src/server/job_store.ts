/**
 * Jobs that clients can ask about: those that are open, and those that ended lately.
 */

import { ExpiringMap, type ExpiringMapOptions } from "./expiring_map.ts";
import type { Job } from "./job.ts";
import type { JobFilter } from "./job_queue.ts";

/** Where a job is in time, and whose it is. */
interface Entry {
  readonly job: Job;
  readonly owner: string;
  /** Counts from 0, in the order in which they came. */
  readonly number: number;
}

export class JobStore {
  readonly #open = new Map<string, Entry>();
  readonly #ended: ExpiringMap<Entry>;
  #count = 0;

  /** Keeps jobs that ended as long, and as many of them, as the options say. */
  constructor(ended: ExpiringMapOptions) {
    this.#ended = new ExpiringMap(ended);
  }

  /** Keeps a job of an owner. */
  keep(job: Job, owner: string): void {
    const entry = { job, owner, number: this.#count++ };
    this.#open.set(job.id, entry);
    void job.ended.then(() => {
      this.#open.delete(job.id);
      this.#ended.set(job.id, entry);
    });
  }

  /** A job by its id, whoever asks: nobody can guess one. */
  get(id: string): Job | undefined {
    return this.#entry(id)?.job;
  }

  /** A page of an owner's jobs, newest first, and whether there are older ones. */
  list(
    { owner, state, limit, after }: JobFilter,
  ): { readonly jobs: readonly Job[]; readonly hasMore: boolean } {
    const before = after === undefined ? Infinity : this.#entry(after)?.number ?? 0;
    const entries = [...this.#ended.values(), ...this.#open.values()]
      .filter((entry) => entry.owner === owner && entry.number < before)
      .filter(({ job }) => state === undefined || job.state === state)
      .sort((a, b) => b.number - a.number);
    const jobs = entries.slice(0, limit).map(({ job }) => job);
    return { jobs, hasMore: entries.length > limit };
  }

  #entry(id: string): Entry | undefined {
    return this.#open.get(id) ?? this.#ended.get(id);
  }
}
