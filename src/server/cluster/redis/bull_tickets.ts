/**
 * Tickets as BullMQ's jobs, which notices when a worker is lost.
 *
 * A ticket carries an id and nothing else. Its holder takes the task and others that can be drawn with it from
 * the store; whoever gets the ticket of a task that was drawn with another finds nothing to do.
 */

// ioredis first: without a lock file Deno finds a package that was imported before its peer only where it was
// imported at once, not later on.
import { Redis } from "npm:ioredis@5.11.1";
import { DelayedError, type Job, Queue, Worker } from "npm:bullmq@6.7.0";
import type { TakerOptions, TicketOffice, TicketTaker } from "../store.ts";

/** Where tickets lie: a Redis, and what the names of all keys begin with. */
export interface TicketPlace {
  readonly url: string;
  readonly prefix: string;
}

/** Hands out tickets of one model. */
export class BullOffice implements TicketOffice {
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

/** Takes tickets of one model, a few at a time. */
export class BullTaker implements TicketTaker {
  readonly #worker: Worker;
  readonly #redis: Redis;

  constructor(
    model: string,
    { place: { url, prefix }, hold, atOnce, lease, poison }: TakerOptions & {
      readonly place: TicketPlace;
    },
  ) {
    this.#redis = new Redis(url, { maxRetriesPerRequest: null }); // it waits for a Redis that restarts
    this.#redis.on("error", () => {});
    const take = async (job: Job, token = "", signal?: AbortSignal): Promise<void> => {
      const { id } = job;
      if (id === undefined) return; // BullMQ's type says that a job may be without; a ticket never is
      const never = new AbortController().signal;
      if (await hold({ id, owner: token, signal: signal ?? never }) === "done") return;
      await job.moveToDelayed(Date.now(), token); // unlike moveToWait(), it wakes others at once
      await job.promote().catch(() => {}); // whose clocks may be behind; one of them was faster
      throw new DelayedError();
    };
    // Of three parameters without defaults: BullMQ counts them to see whether a signal is wanted.
    const draw = (job: Job, token?: string, signal?: AbortSignal): Promise<void> =>
      take(job, token, signal);
    this.#worker = new Worker(queueName(model), draw, {
      connection: this.#redis,
      prefix: `${prefix}tickets`,
      concurrency: atOnce,
      maxStalledCount: poison,
      ...lease,
    });
    this.#worker.on("lockRenewalFailed", (ids: string[]) => {
      for (const id of ids) this.#worker.cancelJob(id, "the ticket is someone else's");
    });
    this.#worker.on("error", () => {}); // of the connection; it comes back by itself
  }

  /** Takes no more tickets and waits for those that are held. */
  async close(): Promise<void> {
    await this.#worker.close();
  }

  abandon(): void {
    this.#redis.disconnect();
  }
}

/** BullMQ keeps colons for itself. */
function queueName(model: string): string {
  return encodeURIComponent(model);
}
