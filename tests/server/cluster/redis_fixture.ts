/** A Redis of its own on loopback, for a test; it can be stopped and started again. */
import { existsSync } from "node:fs";
import { Redis } from "ioredis";
import { RedisStore } from "../../../src/server/cluster/redis/redis_store.ts";
import type { Store } from "../../../src/server/cluster/store.ts";
import type { StoreServer } from "./stores.ts";

/** Debian's `redis-server`, or none. */
const BINARY = ["/usr/bin/redis-server", "/usr/local/bin/redis-server"].find((path) =>
  existsSync(path)
);

/** Whether tests that need Redis are left out; where everything is required they fail instead. */
export const WITHOUT_REDIS: boolean = BINARY === undefined &&
  Deno.env.get("INVARDIFF_REQUIRE_ALL") === undefined;

/** A running Redis. */
export class RedisServer implements StoreServer {
  #child: Deno.ChildProcess | undefined;

  private constructor(
    readonly port: number,
    readonly folder: string,
    readonly args: readonly string[],
  ) {}

  /** Starts one; `args` are added to its command line. */
  static async start(...args: string[]): Promise<RedisServer> {
    const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
    const { port } = listener.addr;
    listener.close();
    const server = new RedisServer(port, await Deno.makeTempDir(), args);
    await server.start();
    return server;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** Starts it again, with what it saved. */
  async start(): Promise<void> {
    const { port, folder } = this;
    const args = ["--port", `${port}`, "--bind", "127.0.0.1", "--dir", folder, ...this.args];
    if (BINARY === undefined) {
      throw new Error("redis-server must be installed: see CONTRIBUTING.md");
    }
    this.#child = new Deno.Command(BINARY, { args, stdout: "null", stderr: "null" }).spawn();
    for (let tries = 0; tries < 200; tries++) {
      try {
        (await Deno.connect({ port, hostname: "127.0.0.1" })).close();
        return;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
    throw new Error("redis-server did not start");
  }

  /** Stops it: SIGTERM saves what it knows, SIGKILL does not. */
  async stop(signal: Deno.Signal = "SIGTERM"): Promise<void> {
    this.#child?.kill(signal);
    await this.#child?.status;
    this.#child = undefined;
  }

  async open(keptSeconds: number): Promise<Store> {
    return await RedisStore.open({ url: this.url, keptSeconds });
  }

  async field(id: string, name: string): Promise<string | undefined> {
    return await this.#ask((redis) => redis.hget(`invardiff:task:${id}`, name)) ?? undefined;
  }

  async setField(id: string, name: string, value: string | number): Promise<void> {
    await this.#ask((redis) => redis.hset(`invardiff:task:${id}`, name, value));
  }

  async forgetTask(id: string): Promise<void> {
    await this.#ask((redis) => redis.del(`invardiff:task:${id}`));
  }

  async keptKeys(): Promise<readonly string[]> {
    return await this.#ask(async (redis) => {
      const keys = [
        ...await redis.keys("invardiff:task:*:*"),
        ...await redis.keys("invardiff:image:*"),
      ];
      return keys.map((key) => key.slice("invardiff:".length));
    });
  }

  async forgetKept(beginning: string): Promise<void> {
    await this.#ask(async (redis) => redis.del(await redis.keys(`invardiff:${beginning}*`)));
  }

  async everything(): Promise<string> {
    return await this.#ask(async (redis) => {
      const keys = await redis.keys("*");
      const dumps = await Promise.all(keys.map((key) => redis.dumpBuffer(key)));
      return keys.join() + dumps.map((dump) => dump?.toString("latin1")).join();
    });
  }

  async leftovers(): Promise<readonly string[]> {
    const lasting = /^invardiff:(?:tickets:|turns:|models$|workers?:|looked$)/; // one for each model, key or worker
    return (await this.#ask((redis) => redis.keys("*"))).filter((key) => !lasting.test(key));
  }

  async workerNotes(): Promise<string> {
    return await this.#ask(async (redis) => {
      const keys = await redis.keys("invardiff:worker:toy:*");
      return keys.length === 0 ? "" : (await redis.mget(keys)).join();
    });
  }

  async setSpeed(speed: number): Promise<void> {
    await this.#ask(async (redis) => {
      const [worker = ""] = await redis.keys("invardiff:worker:toy:*");
      const note = JSON.parse(await redis.get(worker) ?? "{}");
      await redis.set(worker, JSON.stringify({ ...note, speed }));
    });
  }

  async breakPromises(): Promise<void> {
    await this.#ask(async (redis) => {
      for (const rank of await redis.zrange("invardiff:promises:toy", 0, -1)) {
        await redis.zadd("invardiff:promises:toy", 1, rank);
      }
    });
  }

  async leftOfRates(): Promise<readonly number[]> {
    return await this.#ask(async (redis) => {
      const keys = await redis.keys("invardiff:rate:*");
      return await Promise.all(keys.map((key) => redis.pttl(key)));
    });
  }

  async giveTicket(id: string, holder: string | undefined): Promise<void> {
    const lock = `invardiff:tickets:toy:${id}:lock`;
    await this.#ask<unknown>((redis) =>
      holder === undefined ? redis.del(lock) : redis.set(lock, holder)
    );
  }

  async watched(): Promise<number> {
    return await this.#ask((redis) => redis.zcard("invardiff:watched"));
  }

  async leftToFollow(id: string): Promise<number> {
    return Number(await this.#ask((redis) => redis.zscore("invardiff:watched", id))) - Date.now();
  }

  async leaveAlone(id: string): Promise<void> {
    await this.#ask((redis) => redis.zadd("invardiff:watched", 1, id));
  }

  async forgetLook(): Promise<void> {
    await this.#ask((redis) => redis.del("invardiff:looked"));
  }

  async usedBytes(): Promise<number> {
    const info = await this.#ask((redis) => redis.info("memory"));
    return Number(/used_memory:(\d+)/.exec(info)?.[1]);
  }

  async setFull(isFull: boolean): Promise<void> {
    await this.#ask((redis) => redis.config("SET", "maxmemory", isFull ? "1mb" : "0")); // less than it uses
  }

  async lockOut(password: string): Promise<void> {
    await this.#ask(async (redis) => {
      await redis.config("SET", "requirepass", `not ${password}`);
      await redis.client("KILL", "TYPE", "normal", "SKIPME", "yes");
    }, password);
  }

  async #ask<T>(ask: (redis: Redis) => Promise<T>, password?: string): Promise<T> {
    const redis = new Redis(this.url, { ...(password !== undefined && { password }) });
    try {
      return await ask(redis);
    } finally {
      redis.disconnect();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop("SIGKILL");
    await Deno.remove(this.folder, { recursive: true });
  }
}
