/**
 * Tickets: BullMQ's jobs, one for each task, which say whose turn it is and notice when a worker is lost.
 *
 * A ticket carries an id and nothing else. Its holder takes the task and others that can be drawn with it from
 * the store; whoever gets the ticket of a task that was drawn with another finds nothing to do.
 */

import { DelayedError, type Job, Queue, Worker } from "npm:bullmq@6.7.0";
import { Redis } from "npm:ioredis@5.11.1";

/** How long a lost worker goes unnoticed: at most the sum. Both in milliseconds. */
export interface LeaseTimes {
  /** How long a ticket is held without a sign of life. */
  readonly lockDuration: number;
  /** How often lost tickets are looked for. */
  readonly stalledInterval: number;
}

/** Thirty seconds are longer than any graph that blocks a thread; see `src/server/README.md`. */
export const LEASE: LeaseTimes = { lockDuration: 30_000, stalledInterval: 15_000 };

/** Where tickets lie: a Redis, and what the names of all keys begin with. */
export interface TicketPlace {
  readonly url: string;
  readonly prefix: string;
}

/** Hands out tickets of one model. */
export class TicketOffice {
  readonly #queue: Queue;
  readonly #redis: Redis;

  constructor(readonly model: string, { url, prefix }: TicketPlace) {
    this.#redis = new Redis(url, { maxRetriesPerRequest: 3 });
    this.#redis.on("error", () => {}); // each command tells its own failure
    this.#queue = new Queue(queueName(model), {
      connection: this.#redis,
      prefix: `${prefix}tickets`,
    });
    this.#queue.on("error", () => {});
  }

  /** Adds a task's ticket; one that is there already stays as it is, in whosever hands. */
  async add(id: string, turn: number): Promise<void> {
    await this.#queue.add("task", {}, {
      jobId: id,
      priority: 1 + turn,
      attempts: 1, // a worker that is lost does not count; what fails is told to the client
      removeOnComplete: true,
      removeOnFail: true,
    });
  }

  async close(): Promise<void> {
    await this.#queue.close();
    this.#redis.disconnect();
  }
}

/** A ticket in someone's hands. */
export interface HeldTicket {
  /** Id of its task. */
  readonly id: string;
  /** Unlike any other holder's, or this one's at another time. */
  readonly owner: string;
  /** Aborted when it is someone else's, since this process gave no sign of life for too long. */
  readonly signal: AbortSignal;
}

/** Does what a ticket asks for: `done`, or `back` where others shall do it. */
export type Hold = (ticket: HeldTicket) => Promise<"done" | "back">;

/** Takes tickets of one model, a few at a time. */
export class TicketTaker {
  readonly #worker: Worker;
  readonly #redis: Redis;

  constructor(model: string, { place: { url, prefix }, hold, atOnce, lease = LEASE, poison }: {
    readonly place: TicketPlace;
    readonly hold: Hold;
    readonly atOnce: number;
    readonly lease?: LeaseTimes | undefined;
    /** How many workers a ticket may lose. */
    readonly poison: number;
  }) {
    this.#redis = new Redis(url, { maxRetriesPerRequest: null }); // it waits for a Redis that restarts
    this.#redis.on("error", () => {});
    const take = async (job: Job, token = "", signal?: AbortSignal): Promise<void> => {
      const { id } = job;
      if (id === undefined) return; // BullMQ's type says that a job may be without; a ticket never is
      const never = new AbortController().signal;
      if (await hold({ id, owner: token, signal: signal ?? never }) === "done") return;
      await job.moveToDelayed(Date.now(), token); // unlike moveToWait(), it wakes others at once
      throw new DelayedError();
    };
    // Of three parameters without defaults: BullMQ counts them to see whether a signal is wanted.
    this.#worker = new Worker(queueName(model), (job, token, signal) => take(job, token, signal), {
      connection: this.#redis,
      prefix: `${prefix}tickets`,
      concurrency: atOnce,
      maxStalledCount: poison,
      ...lease,
    });
    this.#worker.on("lockRenewalFailed", (ids) => {
      for (const id of ids) this.#worker.cancelJob(id, "the ticket is someone else's");
    });
    this.#worker.on("error", () => {}); // of the connection; it comes back by itself
  }

  /** Takes no more tickets and waits for those that are held. */
  async close(): Promise<void> {
    await this.#worker.close();
    this.#redis.disconnect();
  }
}

/** BullMQ keeps colons for itself. */
function queueName(model: string): string {
  return encodeURIComponent(model);
}
