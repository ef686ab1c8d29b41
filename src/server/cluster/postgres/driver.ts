/**
 * The driver, as far as it is used: `pg` brings no types.
 */

import pg from "npm:pg@8.23.1";

/** A row of a table, or what a function answers. */
export type Row = Readonly<Record<string, unknown>>;

/** What is told to those who listen. */
export interface Notification {
  readonly channel: string;
  readonly payload?: string;
}

/** Both kinds of connections. */
interface Queries {
  query(text: string, values?: readonly unknown[]): Promise<{ readonly rows: readonly Row[] }>;
  on(event: "error" | "end", listener: (error?: unknown) => void): void;
  end(): Promise<void>;
}

/** One connection. */
export interface PgClient extends Queries {
  connect(): Promise<void>;
  on(event: "error" | "end", listener: (error?: unknown) => void): void;
  on(event: "notification", listener: (message: Notification) => void): void;
}

/** A connection that is lent by a pool. */
interface LentClient extends Queries {
  release(isBroken?: boolean): void;
}

/** Some connections, opened as they are needed. */
export interface PgPool extends Queries {
  connect(): Promise<LentClient>;
  on(event: "error" | "end", listener: (error?: unknown) => void): void;
  on(event: "connect", listener: (client: LentClient) => void): void;
}

/** How connections are opened. */
export interface PgConfig {
  readonly connectionString: string;
  readonly application_name: string;
  readonly keepAlive: boolean;
  /** Milliseconds. */
  readonly connectionTimeoutMillis: number;
  /** Milliseconds that an answer may take; 0 for any time. */
  readonly query_timeout?: number;
  /** Connections of a pool. */
  readonly max?: number;
}

interface Driver {
  readonly Client: new (config: PgConfig) => PgClient;
  readonly Pool: new (config: PgConfig) => PgPool;
}

const driver = pg as unknown as Driver; // as its manual says

export const PgClient: Driver["Client"] = driver.Client;
export const PgPool: Driver["Pool"] = driver.Pool;
