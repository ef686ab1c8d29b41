/**
 * Connections to Redis, and what is expected of it.
 */

import { Redis } from "npm:ioredis@5.11.1";
import { BackendError } from "../../../errors.ts";
import { withoutSecrets } from "../queue_address.ts";
import { type ScriptName, SCRIPTS } from "./scripts.ts";

export interface RedisOptions {
  /** `redis://` or `rediss://` with host, and user and password where needed. */
  readonly url: string;
  /** Before the names of all keys; `invardiff:` unless given. */
  readonly prefix?: string | undefined;
  /** Whether commands wait for a Redis that restarts, as workers do; servers tell their clients to come back. */
  readonly patient?: boolean | undefined;
}

/** Oldest version that BullMQ is made for. *Source:* BullMQ's `RedisConnection.recommendedMinimumVersion`. */
const OLDEST = [6, 2] as const;
/** How often a command of an impatient link is tried before it fails. */
const TRIES = 3;

/** One connection for commands, and one for messages. */
export class RedisLink {
  readonly prefix: string;
  readonly #listeners = new Map<string, (message: string) => void>();

  private constructor(
    readonly url: string,
    readonly redis: Redis,
    readonly messages: Redis,
    prefix: string,
  ) {
    this.prefix = prefix;
  }

  /**
   * Connects.
   *
   * @throws {BackendError} When Redis cannot be reached, refuses the password, or is too old.
   */
  static async open(
    { url, prefix = "invardiff:", patient = false }: RedisOptions,
  ): Promise<RedisLink> {
    const [redis, messages] = [connection(url, patient), connection(url, true)];
    const link = new RedisLink(url, redis.client, messages.client, prefix);
    try {
      await Promise.all([redis.ready, messages.ready]);
      expectVersion(await link.redis.info("server"));
      link.#listen();
      return link;
    } catch (cause) {
      link.close();
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new BackendError(`Cannot use the queue at ${withoutSecrets(url)}: ${why}`, { cause });
    }
  }

  /** Name of a key. */
  key(name: string): string {
    return `${this.prefix}${name}`;
  }

  /** Runs a script. */
  async run(name: ScriptName, words: readonly (string | number)[]): Promise<unknown> {
    const command = Reflect.get(this.redis, name) as ScriptCommand; // defineCommand() made it
    return await command.call(this.redis, this.prefix, ...words);
  }

  /** Calls back for each message of a channel; one listener each. */
  async hear(channel: string, listener: (message: string) => void): Promise<void> {
    this.#listeners.set(this.key(channel), listener);
    await this.messages.subscribe(this.key(channel)); // ioredis subscribes again when it connects again
  }

  /** Says it when pictures may be lost, in sentences. */
  async warnings(): Promise<readonly string[]> {
    const ask = async (name: string): Promise<string> => {
      const [, value = ""] = await this.redis.config("GET", name).catch(() => []) as string[]; // where it is forbidden
      return value;
    };
    const [policy, append, sync] = await Promise.all(
      ["maxmemory-policy", "appendonly", "appendfsync"].map(ask),
    );
    return [
      ...(policy === "noeviction" || policy === "" ? [] : [
        `Redis evicts keys when its memory is full (maxmemory-policy ${policy}), jobs among them.`,
      ]),
      ...(append === "yes" && sync === "always" || append === "" ? [] : [
        "Redis may lose accepted jobs when it dies: appendonly yes and appendfsync always keep them.",
      ]),
    ];
  }

  close(): void {
    this.redis.disconnect();
    this.messages.disconnect();
  }

  #listen(): void {
    for (const [name, lua] of Object.entries(SCRIPTS)) {
      this.redis.defineCommand(name, { lua, numberOfKeys: 1 });
    }
    this.messages.on("message", (channel: string, message: string) => {
      this.#listeners.get(channel)?.(message);
    });
  }
}

type ScriptCommand = (key: string, ...words: (string | number)[]) => Promise<unknown>;

/** A client, and when it is connected. */
function connection(
  url: string,
  patient: boolean,
): { readonly client: Redis; readonly ready: Promise<void> } {
  const client = new Redis(url, {
    lazyConnect: true,
    maxRetriesPerRequest: patient ? null : TRIES,
  });
  let last: unknown;
  client.on("error", (error: unknown) => last = error); // commands tell their own failures
  const ready = client.connect().catch((error: unknown) => {
    throw last ?? error; // "connection is closed" says less than why
  });
  return { client, ready };
}

function expectVersion(info: string): void {
  const [, version = "", major = "0", minor = "0"] = /redis_version:((\d+)\.(\d+)\S*)/.exec(info) ??
    [];
  const [wanted, least] = OLDEST;
  if (Number(major) > wanted || Number(major) === wanted && Number(minor) >= least) return;
  throw new BackendError(
    `its version must be ${OLDEST.join(".")} or newer: current value is ${version}`,
  );
}
