/**
 * Queues by their addresses, which say what the store is. Its packages are loaded for those who ask.
 */

import { BackendError } from "../../errors.ts";
import type { OpenQueue } from "../job_queue.ts";
import { KEPT_SECONDS, openCluster, type SharedQueueOptions } from "./open_cluster.ts";
import type { Store } from "./store.ts";

/**
 * Connects to the queue at an address.
 *
 * @throws {BackendError} When it cannot be used, or its packages are missing.
 */
export async function openQueueAt(options: SharedQueueOptions): Promise<OpenQueue> {
  const { url, keptSeconds = KEPT_SECONDS } = options;
  return await openCluster(await openStore(url, keptSeconds), options);
}

/**
 * Version of the store at an address, and what a careful operator would change, in one line.
 *
 * @throws {BackendError} As above.
 */
export async function inspectQueue(url: string): Promise<string> {
  const store = await openStore(url, KEPT_SECONDS);
  try {
    return [await store.version(), ...await store.warnings()].join("; ");
  } finally {
    store.close();
  }
}

async function openStore(url: string, keptSeconds: number): Promise<Store> {
  if (isPostgres(url)) {
    return await (await importPostgres()).PostgresStore.open({ url, keptSeconds });
  }
  const { RedisStore } = await import("./redis/redis_store.ts")
    .catch(refuseWithout("bullmq ioredis"));
  return await RedisStore.open({ url, keptSeconds });
}

function isPostgres(url: string): boolean {
  return /^postgres(?:ql)?:/.test(url);
}

/**
 * The name is computed, so that Deno sees `pg` only when it runs this: `pg` is an optional peer of `bullmq`, and
 * where both can be imported, Deno looks for another copy of `bullmq` that it has not made.
 */
async function importPostgres(): Promise<typeof import("./postgres/postgres_store.ts")> {
  const ending = import.meta.url.slice(import.meta.url.lastIndexOf(".")); // of npm's package .js
  return await import(`./postgres/postgres_store${ending}`).catch(refuseWithout("pg"));
}

/** Node has only the packages that its own ask for. */
function refuseWithout(packages: string): (cause: unknown) => never {
  return (cause) => {
    const advice = `npm install ${packages}`;
    throw new BackendError(`Cannot share a queue: its packages must be there (${advice}).`, {
      cause,
    });
  };
}
