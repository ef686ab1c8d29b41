/**
 * A queue on Postgres, without Redis: any number of servers and workers share one database, and a machine that dies
 * costs one lease time, not a picture.
 *
 * ```ts ignore
 * const queue = await openPostgresQueue({ url: "postgres://invardiff@127.0.0.1/invardiff" });
 * const app = createApp({ renderers: [await openRemoteRenderer()], queue }); // or no renderers: others draw
 * ```
 *
 * @module
 */

import type { OpenQueue } from "../../job_queue.ts";
import { KEPT_SECONDS, openCluster, type SharedQueueOptions } from "../open_cluster.ts";
import type { LeaseTimes } from "../store.ts";
import { PostgresStore } from "./postgres_store.ts";

export type { LeaseTimes, OpenQueue, SharedQueueOptions };

/** How a queue on Postgres is opened: `postgres://` with host and database, and more. */
export interface PostgresQueueOptions extends SharedQueueOptions {
  /** Schema in which all of its tables lie; `invardiff` unless given. */
  readonly schema?: string | undefined;
}

/**
 * Connects to the queue, for `createApp()`; makes its tables where they are missing.
 *
 * @throws {BackendError} When Postgres cannot be reached, refuses the password, is too old, or has newer tables.
 * @throws {TypeError} When the schema's name is none that needs no quotes.
 */
export async function openPostgresQueue(options: PostgresQueueOptions): Promise<OpenQueue> {
  const { url, schema, keptSeconds = KEPT_SECONDS } = options;
  return await openCluster(await PostgresStore.open({ url, schema, keptSeconds }), options);
}
