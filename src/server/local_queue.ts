/**
 * Jobs of one process: they wait in its memory, and are gone with it.
 */

import type { Tensor } from "../tensor/tensor.ts";
import type { BatchQueue } from "./batch_queue.ts";
import type { LoggedEvent } from "./event_log.ts";
import { ExpiringMap, type ExpiringMapOptions } from "./expiring_map.ts";
import type { Job } from "./job.ts";
import type {
  Asked,
  JobFilter,
  JobPage,
  JobQueue,
  JobStatus,
  KeptImage,
  QueuedJob,
} from "./job_queue.ts";
import type { JobSpec } from "./job_spec.ts";
import { JobStore } from "./job_store.ts";
import { askerOf } from "./key_digest.ts";
import { expectRetry } from "./retry.ts";
import { Watch } from "./watch.ts";

/** The queue of a server that is alone. */
export class LocalQueue implements JobQueue {
  readonly #jobs: JobStore;
  readonly #images: ExpiringMap<KeptImage>;
  readonly #retried: ExpiringMap<{ readonly job: Job; readonly digest: string }>;
  readonly #owners = new WeakMap<Job, string>();
  readonly #watches = new WeakMap<Job, Watch>();

  /**
   * Keeps jobs that ended, and pictures, as long and as many as the options say; jobs that are to be watched may
   * be alone for so many seconds.
   */
  constructor(
    readonly queue: BatchQueue,
    kept: ExpiringMapOptions,
    readonly unwatchedSeconds: number,
  ) {
    this.#jobs = new JobStore(kept);
    this.#images = new ExpiringMap(kept);
    this.#retried = new ExpiringMap(kept);
  }

  async add(spec: JobSpec, { body, owner, listed, span, retry }: Asked): Promise<QueuedJob> {
    const earlier = retry && this.#retried.get(retry.id);
    if (earlier !== undefined) {
      expectRetry(earlier.digest, retry!); // or there were none
      return new LocalJob(earlier.job, this.#watches.get(earlier.job));
    }
    const job = this.queue.submit(spec, { span, id: retry?.id });
    if (retry !== undefined) this.#retried.set(retry.id, { job, digest: retry.digest });
    this.#owners.set(job, owner);
    if (listed) this.#jobs.keep(job, owner);
    if (body["watched"] === true) this.#watches.set(job, new Watch(job, this.unwatchedSeconds));
    return await Promise.resolve(new LocalJob(job));
  }

  async find(id: string): Promise<QueuedJob | undefined> {
    const job = this.#jobs.get(id);
    return await Promise.resolve(job && new LocalJob(job, this.#watches.get(job)));
  }

  async list(filter: JobFilter): Promise<JobPage> {
    const { jobs, hasMore } = this.#jobs.list(filter);
    return await Promise.resolve({ jobs: jobs.map(statusOf), hasMore });
  }

  async publish(name: string, image: KeptImage): Promise<void> {
    await Promise.resolve(this.#images.set(name, image));
  }

  async published(name: string): Promise<KeptImage | undefined> {
    return await Promise.resolve(this.#images.get(name));
  }

  async waiting(): Promise<ReadonlyMap<string, number>> {
    const depths = new Map<string, number>();
    for (const job of this.queue.waitingJobs) {
      const asker = askerOf(this.#owners.get(job) ?? "");
      depths.set(asker, 1 + (depths.get(asker) ?? 0));
    }
    return await Promise.resolve(depths);
  }
}

/** A job of this process. */
class LocalJob implements QueuedJob {
  constructor(readonly job: Job, readonly watch?: Watch) {}

  get id(): string {
    return this.job.id;
  }

  get spec(): JobSpec {
    return this.job.spec;
  }

  async status(): Promise<JobStatus> {
    return await Promise.resolve(statusOf(this.job));
  }

  async *events(
    after: number,
    signal: AbortSignal,
  ): AsyncGenerator<LoggedEvent, void, undefined> {
    const leave = this.watch?.follow();
    try {
      yield* this.job.log.follow(after, signal);
    } finally {
      leave?.();
    }
  }

  async cancel(): Promise<void> {
    await Promise.resolve(this.job.cancel());
  }

  async images(): Promise<readonly Uint8Array<ArrayBuffer>[]> {
    return await Promise.resolve(this.job.result!.images); // of a completed job
  }

  async latents(): Promise<Tensor> {
    return await Promise.resolve(this.job.result!.latents); // as above
  }
}

function statusOf(job: Job): JobStatus {
  const { id, spec, state, step, batch, times, span, result, error, place, isOpen } = job;
  return {
    ...{ id, spec, state, step, batch, times, span, result, error },
    position: place.position(job),
    eta: isOpen ? place.eta(job) : undefined,
  };
}
