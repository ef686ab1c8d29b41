/**
 * The store that servers and workers share, and what is heard of it.
 */

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

  private constructor(readonly store: Store, readonly events: TaskEvents) {
    this.tasks = store.tasks;
    this.backlog = store.backlog;
    this.workers = store.workers;
    this.usage = store.usage;
    this.watches = new Watches(store.tasks);
  }

  /** Listens to a store that was opened. */
  static async on(store: Store): Promise<Cluster> {
    return new Cluster(store, await TaskEvents.of(store));
  }

  close(): void {
    this.store.close();
    this.events.close();
  }
}
