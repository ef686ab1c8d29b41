/**
 * The store that servers and workers share, and what is heard of it.
 */

import type { LastingResults, ResultStore } from "./results/result_store.ts";
import type { Backlog, Store, TaskStore, Usage, WorkerList } from "./store.ts";
import { TaskEvents } from "./task_events.ts";
import { Watches } from "./watches.ts";

/** One process's view of the store. */
export class Cluster {
  readonly tasks: TaskStore;
  readonly backlog: Backlog;
  readonly workers: WorkerList;
  readonly usage: Usage;
  readonly watches: Watches;

  /** Where pictures and latents lie. */
  readonly results: ResultStore;

  private constructor(
    readonly store: Store,
    readonly events: TaskEvents,
    /** Where they lie if not in the store. */
    readonly lasting: LastingResults | undefined,
  ) {
    this.results = lasting ?? store.tasks;
    this.tasks = store.tasks;
    this.backlog = store.backlog;
    this.workers = store.workers;
    this.usage = store.usage;
    this.watches = new Watches(store.tasks);
  }

  /** Listens to a store that was opened. */
  static async on(store: Store, lasting?: LastingResults): Promise<Cluster> {
    return new Cluster(store, await TaskEvents.of(store), lasting);
  }

  /** The same over another connection, for a worker. */
  async again(): Promise<Cluster> {
    return await Cluster.on(await this.store.again(), this.lasting);
  }

  close(): void {
    this.store.close();
    this.events.close();
  }
}
