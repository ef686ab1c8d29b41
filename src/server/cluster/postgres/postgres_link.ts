/**
 * Connections to Postgres, and what is expected of it.
 */

import { BackendError } from "../../../errors.ts";
import { withoutSecrets } from "../queue_address.ts";
import { PgClient, type PgConfig, PgPool, type Row } from "./driver.ts";
import { isAway, reasonOf } from "./failures.ts";
import { makeTables } from "./tables.ts";

export interface PostgresOptions {
  /** `postgres://` with host, database, and user and password where needed. */
  readonly url: string;
  /** Schema in which all tables lie; `invardiff` unless given. */
  readonly schema?: string | undefined;
  /** Whether commands wait for a Postgres that restarts, as workers do; servers tell their clients to come back. */
  readonly patient?: boolean | undefined;
}

/** Oldest major version: the oldest that its makers look after. */
const OLDEST = 14;
/** Connections for commands; each server of Postgres has a hundred unless told otherwise. */
const CONNECTIONS = 4;
/** Milliseconds between tries to reach a Postgres that is away. */
const RETRY_MS = 250;
/** Milliseconds for a connection, and for an answer where no other can wait for it. */
const [CONNECT_MS, ANSWER_MS] = [5000, 15_000];

/** Some connections for commands, and one for messages. */
export class PostgresLink {
  readonly #pool: PgPool;
  readonly #listeners = new Map<string, Set<(payload: string) => void>>();
  #messages: PgClient | undefined;
  #closed = false;

  private constructor(readonly url: string, readonly schema: string, readonly patient: boolean) {
    this.#pool = new PgPool({
      ...this.#config,
      max: CONNECTIONS,
      query_timeout: patient ? 0 : ANSWER_MS,
    });
    this.#pool.on("error", () => {}); // of connections that rest; the next command opens another
    // One that is lent, or is just being closed, would end the process otherwise when Postgres dies.
    this.#pool.on("connect", (client) => client.on("error", () => {}));
  }

  /**
   * Connects, and makes the tables where they are missing.
   *
   * @throws {BackendError} When Postgres cannot be reached, refuses the password, is too old, or has newer tables.
   */
  static async open(
    { url, schema = "invardiff", patient = false }: PostgresOptions,
  ): Promise<PostgresLink> {
    if (!/^[a-z_][a-z0-9_]{0,50}$/.test(schema)) {
      throw new TypeError(
        `Cannot open a queue: schema must be of lower-case letters, digits and _: current value is ${schema}`,
      );
    }
    const link = new PostgresLink(url, schema, patient);
    try {
      expectVersion(await link.setting("server_version"));
      await makeTables(link.#pool, schema);
      await link.#listen();
      return link;
    } catch (cause) {
      link.close();
      throw new BackendError(
        `Cannot use the queue at ${withoutSecrets(url)}: ${reasonOf(cause)}`,
        { cause },
      );
    }
  }

  /** Calls a function of the schema, or runs a statement in which `@` stands before its names. */
  async rows(statement: string, values: readonly unknown[] = []): Promise<readonly Row[]> {
    const text = statement.replaceAll("@", `${this.schema}.`);
    for (;;) {
      try {
        return (await this.#pool.query(text, values)).rows;
      } catch (error) {
        if (!this.patient || this.#closed || !isAway(error)) throw error;
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }

  /** The one value of the one row that is answered; `undefined` for none. */
  async value(statement: string, values: readonly unknown[] = []): Promise<unknown> {
    const [row] = await this.rows(statement, values);
    const [value] = Object.values(row ?? {});
    return value ?? undefined;
  }

  /** Calls back for each message of a channel until the function that is returned is called. */
  hear(channel: string, listener: (payload: string) => void): () => void {
    const listeners = this.#listeners.get(channel) ?? new Set();
    this.#listeners.set(channel, listeners.add(listener));
    return () => void listeners.delete(listener);
  }

  /** A setting of the server. */
  async setting(name: string): Promise<string> {
    return `${await this.value("SELECT current_setting($1, true)", [name]) ?? ""}`;
  }

  /** Says it when pictures may be lost, in sentences. */
  async warnings(): Promise<readonly string[]> {
    const [fsync, commit] = await Promise.all(
      ["fsync", "synchronous_commit"].map((name) => this.setting(name)),
    );
    if (fsync === "on" && commit !== "off") return [];
    return [
      "Postgres may lose accepted jobs when it dies: fsync and synchronous_commit keep them.",
    ];
  }

  close(): void {
    this.#closed = true;
    void this.#pool.end().catch(() => {});
    void this.#messages?.end().catch(() => {});
  }

  get #config(): PgConfig {
    return {
      connectionString: this.url,
      application_name: "invardiff",
      keepAlive: true, // a connection that only listens would not notice otherwise that the other end is gone
      connectionTimeoutMillis: CONNECT_MS,
    };
  }

  /** Listens on a connection of its own, and again when that one is lost: Postgres forgets who listened. */
  async #listen(): Promise<void> {
    const client = new PgClient(this.#config);
    client.on("error", () => {}); // it ends, too
    client.on("notification", ({ channel, payload = "" }) => {
      for (const call of this.#listeners.get(channel.slice(this.schema.length + 1)) ?? []) {
        call(payload);
      }
    });
    await client.connect();
    this.#messages = client;
    client.on("end", () => void this.#listenAgain());
    if (this.#closed) return await client.end();
    for (const channel of CHANNELS) await client.query(`LISTEN ${this.schema}_${channel}`);
  }

  async #listenAgain(): Promise<void> {
    while (!this.#closed) {
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      if (this.#closed) return;
      try {
        return await this.#listen();
      } catch {
        // Away still. Followers and takers look again from time to time without being told.
      }
    }
  }
}

/** What is told to all processes: something was logged of a task, one has ended, a ticket can be taken. */
const CHANNELS = ["woken", "ended", "ticket"] as const;

/**
 * Refuses what is too old.
 *
 * @throws {BackendError} As its setting `server_version` says.
 */
export function expectVersion(version: string): void {
  if (Number.parseInt(version) >= OLDEST) return;
  throw new BackendError(
    `its version must be ${OLDEST} or newer: current value is ${version}`,
  );
}
