/**
 * A store in Redis, with BullMQ's tickets.
 */

import type {
  Backlog,
  Message,
  Store,
  TakerOptions,
  TaskStore,
  TicketOffice,
  TicketTaker,
  Usage,
  WorkerList,
} from "../store.ts";
import { BullOffice, BullTaker } from "./bull_tickets.ts";
import { RedisBacklog } from "./redis_backlog.ts";
import { RedisLink, type RedisOptions } from "./redis_link.ts";
import { RedisTasks } from "./redis_tasks.ts";
import { RedisUsage } from "./redis_usage.ts";
import { RedisWorkers } from "./redis_workers.ts";

export interface RedisStoreOptions extends RedisOptions {
  /** Seconds that finished jobs and their pictures are kept. */
  readonly keptSeconds: number;
}

/** One process's connections with Redis. */
export class RedisStore implements Store {
  readonly tasks: TaskStore;
  readonly backlog: Backlog;
  readonly workers: WorkerList;
  readonly usage: Usage;

  private constructor(readonly link: RedisLink, readonly keptSeconds: number) {
    this.tasks = new RedisTasks(link, keptSeconds * 1000);
    this.backlog = new RedisBacklog(link);
    this.workers = new RedisWorkers(link);
    this.usage = new RedisUsage(link);
  }

  /**
   * Opens the store.
   *
   * @throws {BackendError} When Redis cannot be reached, refuses the password, or is too old.
   */
  static async open({ keptSeconds, ...options }: RedisStoreOptions): Promise<RedisStore> {
    return new RedisStore(await RedisLink.open(options), keptSeconds);
  }

  office(model: string): TicketOffice {
    return new BullOffice(model, this.link);
  }

  taker(model: string, options: TakerOptions): TicketTaker {
    return new BullTaker(model, { ...options, place: this.link });
  }

  async hear(message: Message, listener: (id: string) => void): Promise<void> {
    await this.link.hear(message, listener);
  }

  async again(): Promise<Store> {
    const { link: { url, prefix }, keptSeconds } = this;
    return await RedisStore.open({ url, prefix, keptSeconds, patient: true });
  }

  async version(): Promise<string> {
    const [, version] = /redis_version:(\S+)/.exec(await this.link.redis.info("server")) ?? [];
    return `Redis ${version}`;
  }

  async warnings(): Promise<readonly string[]> {
    return await this.link.warnings();
  }

  close(): void {
    this.link.close();
  }
}
