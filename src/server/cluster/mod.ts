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

import { makeOpenQueue, type OpenQueue, type ServerParts } from "../job_queue.ts";
import { Cluster } from "./cluster.ts";
import { ClusterQueue } from "./cluster_queue.ts";
import { withoutSecrets } from "./queue_address.ts";
import { RedisStore } from "./redis/redis_store.ts";
import { openResults } from "./results/open_results.ts";
import type { LeaseTimes } from "./store.ts";

export type { LeaseTimes, OpenQueue };

/** How a shared queue is opened. */
export interface BullQueueOptions {
  /** `redis://` or `rediss://` with host, and user and password where needed. */
  readonly url: string;
  /** Before the names of all keys; `invardiff:` unless given. */
  readonly prefix?: string | undefined;
  /** How long a lost worker goes unnoticed; 30 s and 15 s unless given. */
  readonly lease?: LeaseTimes | undefined;
  /** Seconds that finished jobs and their pictures are kept; 600 unless given. */
  readonly keptSeconds?: number | undefined;
  /** Where pictures and latents are kept: `file:///…` or `s3://…` (`openResults()`); in the queue unless given. */
  readonly results?: string | undefined;
  /** Called with what a careful operator should know of this Redis, in sentences. */
  readonly onWarning?: ((sentence: string) => void) | undefined;
}

/**
 * Connects to the queue, for `createApp()`.
 *
 * @throws {BackendError} When Redis cannot be reached, refuses the password, or is too old.
 */
export async function openBullQueue(
  { url, prefix, lease, keptSeconds = 600, results, onWarning }: BullQueueOptions,
): Promise<OpenQueue> {
  const store = await RedisStore.open({ url, prefix, keptSeconds });
  if (onWarning !== undefined) (await store.link.warnings()).forEach(onWarning);
  const cluster = await Cluster.on(
    store,
    results === undefined ? undefined : await openResults(results),
  );
  const join = (parts: ServerParts): ClusterQueue => new ClusterQueue({ ...parts, cluster, lease });
  return makeOpenQueue(withoutSecrets(url), join);
}
