/**
 * A job in the store, as routes see it.
 */

import { floatsOfBytes } from "../../tensor/bytes.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { LoggedEvent } from "../event_log.ts";
import type { JobStatus, QueuedJob } from "../job_queue.ts";
import type { JobSpec } from "../job_spec.ts";
import { RequestError } from "../request_error.ts";
import type { Cluster } from "./cluster.ts";
import { reached, resultsReached } from "./reached.ts";
import { latentsKey, pictureKey, type Task } from "./task.ts";

export interface ClusterJobOptions {
  readonly cluster: Cluster;
  /** Seconds without a follower after which it is cancelled; absent for never. */
  readonly unwatchedSeconds: number | undefined;
  /** How far its task is. */
  readonly statusOf: (task: Task, spec: JobSpec) => Promise<JobStatus>;
}

/** A job that any process may draw. */
export class ClusterJob implements QueuedJob {
  constructor(readonly id: string, readonly spec: JobSpec, readonly options: ClusterJobOptions) {}

  async status(): Promise<JobStatus> {
    return await this.options.statusOf(await this.#task(), this.spec);
  }

  async *events(
    after: number,
    signal: AbortSignal,
  ): AsyncGenerator<LoggedEvent, void, undefined> {
    const { cluster: { events, watches }, unwatchedSeconds } = this.options;
    const leave = unwatchedSeconds === undefined
      ? undefined
      : watches.follow(this.id, unwatchedSeconds);
    try {
      for await (const logged of events.follow(this.id, after, signal)) {
        yield logged.event === "queued" ? await this.#timed(logged) : logged;
      }
    } finally {
      leave?.();
    }
  }

  /** Its place in the queue, with the time that it takes from there as workers are by now. */
  async #timed(logged: LoggedEvent): Promise<LoggedEvent> {
    const { eta } = await this.status();
    return { ...logged, data: { ...logged.data as object, eta_seconds: eta ?? null } }; // as the store wrote it
  }

  async cancel(): Promise<void> {
    await reached(this.options.cluster.tasks.finish(this.id, { state: "cancelled" }));
  }

  async images(): Promise<readonly Uint8Array<ArrayBuffer>[]> {
    const { owner } = await this.#task();
    return await Promise.all(
      this.spec.pictures.map((_, i) => this.#kept(pictureKey(this.id, owner, i))),
    );
  }

  async latents(): Promise<Tensor> {
    const { owner, result } = await this.#task();
    const bytes = await this.#kept(latentsKey(this.id, owner));
    return { dims: result!["dims"] as number[], data: floatsOfBytes(bytes) }; // of a completed job
  }

  async #task(): Promise<Task> {
    const task = await reached(this.options.cluster.tasks.read(this.id));
    if (task !== undefined) return task;
    throw new RequestError("The job has expired", { status: 404, code: "job_not_found" });
  }

  async #kept(key: string): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = await resultsReached(this.options.cluster.results.kept(key));
    if (bytes !== undefined) return bytes;
    throw new RequestError("The pictures of the job have expired", {
      status: 404,
      code: "result_expired",
    });
  }
}
