/**
 * A store as a queue that servers can join.
 */

import { makeOpenQueue, type OpenQueue, type ServerParts } from "../job_queue.ts";
import { Cluster } from "./cluster.ts";
import { ClusterQueue } from "./cluster_queue.ts";
import { withoutSecrets } from "./queue_address.ts";
import { openResults } from "./results/open_results.ts";
import type { LeaseTimes, Store } from "./store.ts";

/** How a queue is opened, whatever its store. */
export interface SharedQueueOptions {
  /** Where it is, with user and password where needed. */
  readonly url: string;
  /** How long a lost worker goes unnoticed; 30 s and 15 s unless given. */
  readonly lease?: LeaseTimes | undefined;
  /** Seconds that finished jobs and their pictures are kept; 600 unless given. */
  readonly keptSeconds?: number | undefined;
  /** Where pictures and latents are kept: `file:///…` or `s3://…` (`openResults()`); in the queue unless given. */
  readonly results?: string | undefined;
  /** Called with what a careful operator should know of this store, in sentences. */
  readonly onWarning?: ((sentence: string) => void) | undefined;
}

/** Seconds that finished jobs and their pictures are kept. */
export const KEPT_SECONDS = 600;

/** Makes a queue of a store that was opened. */
export async function openCluster(
  store: Store,
  { url, lease, results, onWarning }: SharedQueueOptions,
): Promise<OpenQueue> {
  if (onWarning !== undefined) (await store.warnings()).forEach(onWarning);
  const cluster = await Cluster.on(
    store,
    results === undefined ? undefined : await openResults(results),
  );
  const join = (parts: ServerParts): ClusterQueue => new ClusterQueue({ ...parts, cluster, lease });
  return makeOpenQueue(withoutSecrets(url), join);
}
