/**
 * The store that servers and workers share.
 */

import { Backlog } from "./backlog.ts";
import { RedisLink, type RedisOptions } from "./redis_link.ts";
import { TaskEvents } from "./task_events.ts";
import { TaskStore } from "./task_store.ts";
import { Workers } from "./workers.ts";

export interface ClusterOptions extends RedisOptions {
  /** Seconds that finished jobs and their pictures are kept. */
  readonly keptSeconds: number;
}

/** One process's view of the store. */
export class Cluster {
  readonly tasks: TaskStore;
  readonly backlog: Backlog;
  readonly workers: Workers;

  private constructor(
    readonly link: RedisLink,
    readonly events: TaskEvents,
    keptSeconds: number,
  ) {
    this.tasks = new TaskStore(link, keptSeconds * 1000);
    this.backlog = new Backlog(link);
    this.workers = new Workers(link);
  }

  /**
   * Opens the store.
   *
   * @throws {BackendError} When Redis cannot be reached, refuses the password, or is too old.
   */
  static async open({ keptSeconds, ...options }: ClusterOptions): Promise<Cluster> {
    const link = await RedisLink.open(options);
    return new Cluster(link, await TaskEvents.open(link), keptSeconds);
  }

  close(): void {
    this.link.close();
    this.events.close();
  }
}
