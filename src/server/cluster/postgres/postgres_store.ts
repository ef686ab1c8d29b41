/**
 * A store in Postgres, which needs nothing beside it.
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
import { PostgresBacklog } from "./postgres_backlog.ts";
import { PostgresLink, type PostgresOptions } from "./postgres_link.ts";
import { PostgresTasks } from "./postgres_tasks.ts";
import { PostgresOffice, PostgresTaker } from "./postgres_tickets.ts";
import { PostgresUsage } from "./postgres_usage.ts";
import { PostgresWorkers } from "./postgres_workers.ts";

export interface PostgresStoreOptions extends PostgresOptions {
  /** Seconds that finished jobs and their pictures are kept. */
  readonly keptSeconds: number;
}

/** Milliseconds between the times at which a process deletes what has expired. */
const SWEEP_MS = 5000;

/** One process's connections with Postgres. */
export class PostgresStore implements Store {
  readonly tasks: TaskStore;
  readonly backlog: Backlog;
  readonly workers: WorkerList;
  readonly usage: Usage;
  readonly #sweeping: ReturnType<typeof setInterval>;

  private constructor(readonly link: PostgresLink, readonly keptSeconds: number) {
    this.tasks = new PostgresTasks(link, keptSeconds * 1000);
    this.backlog = new PostgresBacklog(link);
    this.usage = new PostgresUsage(link);
    this.workers = new PostgresWorkers(link);
    this.#sweeping = setInterval(() => void link.rows("SELECT @sweep()").catch(() => {}), SWEEP_MS); // Postgres is away
  }

  /**
   * Opens the store.
   *
   * @throws {BackendError} When Postgres cannot be reached, refuses the password, is too old, or has newer tables.
   */
  static async open({ keptSeconds, ...options }: PostgresStoreOptions): Promise<PostgresStore> {
    return new PostgresStore(await PostgresLink.open(options), keptSeconds);
  }

  office(model: string): TicketOffice {
    return new PostgresOffice(model, this.link);
  }

  taker(model: string, options: TakerOptions): TicketTaker {
    return new PostgresTaker(model, { ...options, link: this.link });
  }

  async hear(message: Message, listener: (id: string) => void): Promise<void> {
    await Promise.resolve(this.link.hear(message, listener)); // the link listens to all of them
  }

  async again(): Promise<Store> {
    const { link: { url, schema }, keptSeconds } = this;
    return await PostgresStore.open({ url, schema, keptSeconds, patient: true });
  }

  async version(): Promise<string> {
    const [number] = (await this.link.setting("server_version")).split(" "); // packages add their own
    return `Postgres ${number}`;
  }

  async warnings(): Promise<readonly string[]> {
    return await this.link.warnings();
  }

  close(): void {
    clearInterval(this.#sweeping);
    this.link.close();
  }
}
