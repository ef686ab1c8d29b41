/**
 * A queue on BullMQ: any number of servers and workers share one Redis (or Valkey), and a machine that dies
 * costs one lease time, not a picture.
 *
 * ```ts ignore
 * const queue = await openBullQueue({ url: "redis://127.0.0.1:6379" });
 * const app = createApp({ renderers: [await openRemoteRenderer()], queue }); // or no renderers: others draw
 * ```
 *
 * @module
 */

import type { OpenQueue } from "../job_queue.ts";
import { KEPT_SECONDS, openCluster, type SharedQueueOptions } from "./open_cluster.ts";
import { RedisStore } from "./redis/redis_store.ts";
import type { LeaseTimes } from "./store.ts";

export type { LeaseTimes, OpenQueue, SharedQueueOptions };

/** How a queue on BullMQ is opened: `redis://` or `rediss://` with host, and more. */
export interface BullQueueOptions extends SharedQueueOptions {
  /** Before the names of all keys; `invardiff:` unless given. */
  readonly prefix?: string | undefined;
}

/**
 * Connects to the queue, for `createApp()`.
 *
 * @throws {BackendError} When Redis cannot be reached, refuses the password, or is too old.
 */
export async function openBullQueue(options: BullQueueOptions): Promise<OpenQueue> {
  const { url, prefix, keptSeconds = KEPT_SECONDS } = options;
  return await openCluster(await RedisStore.open({ url, prefix, keptSeconds }), options);
}
