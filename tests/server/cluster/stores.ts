/** Stores that a queue may have, each with a server of its own for a test, and what tests do to them from outside. */
import type { Store } from "../../../src/server/cluster/store.ts";
import { PostgresServer, WITHOUT_POSTGRES } from "./postgres_fixture.ts";
import { RedisServer, WITHOUT_REDIS } from "./redis_fixture.ts";

/** A server of a store; its methods do what no process of ours does. */
export interface StoreServer extends AsyncDisposable {
  readonly url: string;
  /** Starts it again, with what it saved. */
  start(): Promise<void>;
  /** Stops it: SIGTERM in good order, SIGKILL on the spot. */
  stop(signal?: Deno.Signal): Promise<void>;
  /** Connects as our processes do. */
  open(keptSeconds: number): Promise<Store>;
  /** A field of a task; `undefined` where there is none. */
  field(id: string, name: string): Promise<string | undefined>;
  setField(id: string, name: string, value: string | number): Promise<void>;
  forgetTask(id: string): Promise<void>;
  /** Keys of what is kept of tasks, and of pictures that have names. */
  keptKeys(): Promise<readonly string[]>;
  /** Deletes what is kept under keys that begin so. */
  forgetKept(beginning: string): Promise<void>;
  /** All that lies there, as text. */
  everything(): Promise<string>;
  /** Names of what is there for longer than jobs are kept. */
  leftovers(): Promise<readonly string[]>;
  /** What the workers of the toy say of themselves. */
  workerNotes(): Promise<string>;
  /** Says in the name of the toy's only worker how fast it is, in multiply-accumulates a second. */
  setSpeed(speed: number): Promise<void>;
  /** Lets all who were promised a place be too late for it. */
  breakPromises(): Promise<void>;
  /** Milliseconds that each count of a key's requests is kept. */
  leftOfRates(): Promise<readonly number[]>;
  /** Gives a ticket of the toy to another holder, or to nobody. */
  giveTicket(id: string, holder: string | undefined): Promise<void>;
  /** How many tasks are to be watched. */
  watched(): Promise<number>;
  /** Milliseconds until a watched task is cancelled unless somebody follows it. */
  leftToFollow(id: string): Promise<number>;
  /** Lets a watched task be without a follower for too long. */
  leaveAlone(id: string): Promise<void>;
  /** Forgets that somebody looked at watched tasks. */
  forgetLook(): Promise<void>;
  /** How much it has, in memory or on disk. */
  usedBytes(): Promise<number>;
  /** Lets it have no room for what is new, until it is told to have some. */
  setFull(isFull: boolean): Promise<void>;
  /** Has another password than this one from now on, and closes all connections. */
  lockOut(password: string): Promise<void>;
}

/** A kind of store. */
export interface StoreKind {
  readonly name: string;
  /** Whether it is not here. */
  readonly isMissing: boolean;
  /** An address where there is none. */
  readonly nobody: string;
  /** Words of what is said when one cannot be used. */
  readonly refusals: {
    readonly unreachable: string;
    readonly withoutPassword: string;
    readonly wrongPassword: string;
  };
  /** A word of what is said of one that is not durable. */
  readonly warning: string;
  /** Starts one that loses nothing by SIGKILL where it shall be durable, and asks for a password where there is one. */
  start(
    options?: { readonly durable?: boolean; readonly password?: string },
  ): Promise<StoreServer>;
}

export const REDIS: StoreKind = {
  name: "Redis",
  isMissing: WITHOUT_REDIS,
  nobody: "redis://127.0.0.1:1",
  refusals: {
    unreachable: "ECONNREFUSED",
    withoutPassword: "NOAUTH",
    wrongPassword: "WRONGPASS",
  },
  warning: "appendfsync",
  start: ({ durable = false, password } = {}) =>
    RedisServer.start(
      ...(durable ? ["--appendonly", "yes", "--appendfsync", "always"] : []),
      ...(password === undefined ? [] : ["--requirepass", password]),
    ),
};

export const POSTGRES: StoreKind = {
  name: "Postgres",
  isMissing: WITHOUT_POSTGRES,
  nobody: "postgres://invardiff@127.0.0.1:1/postgres",
  refusals: {
    unreachable: "ECONNREFUSED",
    withoutPassword: "asks for a password",
    wrongPassword: "password authentication failed",
  },
  warning: "fsync",
  // Without fsync it loses nothing by a signal either, only by the end of its machine.
  start: ({ durable = false, password } = {}) =>
    PostgresServer.start({ settings: durable ? [] : ["fsync=off"], password }),
};

/** For tests of Redis alone. */
export const WITH_REDIS = {
  ignore: WITHOUT_REDIS,
  sanitizeOps: false,
  sanitizeResources: false,
} as const;

/** An address with another password. */
export function withPassword(url: string, password: string): string {
  return Object.assign(new URL(url), { password }).href;
}

/** A test over each kind of store; connections end a moment after they were closed. */
export function overStores(
  name: string,
  fn: (kind: StoreKind, t: Deno.TestContext) => Promise<void>,
): void {
  for (const kind of [REDIS, POSTGRES]) {
    Deno.test({
      name: `${name} (${kind.name})`,
      ignore: kind.isMissing,
      sanitizeOps: false,
      sanitizeResources: false,
      fn: (t) => fn(kind, t),
    });
  }
}
