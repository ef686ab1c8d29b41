/**
 * Jobs in a store that any number of servers share: each of them takes jobs and answers for all.
 */

import { floatsOfBytes } from "../../tensor/bytes.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { BackendError } from "../../errors.ts";
import type { RendererFacts } from "../../worker/renderer.ts";
import type { BatchQueue } from "../batch_queue.ts";
import { isEnd, type LoggedEvent } from "../event_log.ts";
import type { JobSpec } from "../job_spec.ts";
import type {
  Asked,
  JobFilter,
  JobPage,
  JobStatus,
  KeptImage,
  QueuedJob,
  ServerParts,
  SharedQueue,
} from "../job_queue.ts";
import { queueFull, stopping } from "../refusals.ts";
import { RequestError } from "../request_error.ts";
import { askerOf } from "../key_digest.ts";
import { ClusterWorker } from "./cluster_worker.ts";
import {
  editFiles,
  latentsKey,
  pictureKey,
  requestOf,
  shapeOf,
  specOf,
  type Task,
} from "./task.ts";
import { Cluster } from "./cluster.ts";
import type { LeaseTimes, TicketOffice } from "./store.ts";

export interface ClusterQueueOptions extends ServerParts {
  readonly cluster: Cluster;
  readonly lease?: LeaseTimes | undefined;
}

/** How often a worker tries to reach a store that is away, in milliseconds. */
const RETRY_MS = 500;

/** Takes jobs and tells of them, whoever draws them. */
export class ClusterQueue implements SharedQueue {
  readonly #offices = new Map<string, TicketOffice>();
  #worker: ClusterWorker | undefined;
  #closing = false;

  constructor(readonly options: ClusterQueueOptions) {}

  async add(spec: JobSpec, { owner, listed, ...asked }: Asked): Promise<QueuedJob> {
    if (this.#closing) throw stopping();
    const { cluster: { tasks }, limits: { queue: queueLimit, deadlineSeconds } } = this.options;
    const id = crypto.randomUUID();
    const created = Date.now();
    const model = spec.model.facts.id;
    const turn = await reached(tasks.add({
      ...{ id, model, created },
      asker: askerOf(owner),
      listed,
      shape: shapeOf(spec, id),
      pictures: spec.pictures.length,
      macs: spec.costs.reduce((sum, macs) => sum + macs, 0),
      request: requestOf(spec, asked),
      deadline: created + deadlineSeconds * 1000,
      files: spec.edit && await editFiles(spec.edit),
    }, queueLimit));
    if (turn === undefined) throw await this.#full(model);
    // Accepted from here on: a ticket that is lost with the store is made again by the keepers of the workers.
    await this.office(model).add(id, turn).catch(() => {});
    return new ClusterJob(id, spec, this);
  }

  async find(id: string): Promise<QueuedJob | undefined> {
    const task = await reached(this.options.cluster.tasks.read(id));
    return task && new ClusterJob(id, this.#specOf(task), this);
  }

  async list({ owner, state, limit, after }: JobFilter): Promise<JobPage> {
    const ids = await reached(this.options.cluster.backlog.listed(askerOf(owner)));
    const older = after === undefined ? ids : ids.slice(ids.indexOf(after) + 1);
    const jobs: JobStatus[] = [];
    for (const id of older) {
      const task = await reached(this.options.cluster.tasks.read(id));
      if (task === undefined || state !== undefined && task.state !== state) continue;
      if (jobs.length === limit) return { jobs, hasMore: true };
      jobs.push(await this.statusOf(task, this.#specOf(task)));
    }
    return { jobs, hasMore: false };
  }

  async publish(name: string, { bytes, type }: KeptImage): Promise<void> {
    const { tasks } = this.options.cluster;
    await reached(tasks.keep(`image:${name}:type`, new TextEncoder().encode(type)));
    await reached(tasks.keep(`image:${name}`, bytes));
  }

  async published(name: string): Promise<KeptImage | undefined> {
    const { tasks } = this.options.cluster;
    const [bytes, type] = await reached(Promise.all([
      tasks.kept(`image:${name}`),
      tasks.kept(`image:${name}:type`),
    ]));
    if (bytes === undefined || type === undefined) return undefined;
    return { bytes, type: new TextDecoder().decode(type) };
  }

  async waiting(): Promise<ReadonlyMap<string, number>> {
    return await reached(this.options.cluster.usage.depths());
  }

  async models(): Promise<readonly RendererFacts[]> {
    return await this.options.cluster.workers.models();
  }

  async isReady(): Promise<boolean> {
    const { workers } = this.options.cluster;
    try {
      const models = await workers.models();
      const there = await Promise.all(models.map(({ id }) => workers.of(id)));
      return there.some(({ length }) => length > 0);
    } catch {
      return false; // the queue does not answer
    }
  }

  async work(local: BatchQueue): Promise<void> {
    const { catalog, defaults, limits: { batch: maxBatch }, lease, onLoss } = this.options;
    const cluster = await this.#openPatiently();
    if (this.#closing || cluster === undefined) return cluster?.close(); // the server ends before it could work
    const office = (model: string): TicketOffice => this.office(model);
    this.#worker = new ClusterWorker({
      ...{ cluster, queue: local, defaults, maxBatch, lease, office, onLoss },
      catalog: catalog(),
    });
  }

  /**
   * A worker's own connection. The first one was there when the server began; the store may be away while the model
   * was loaded.
   */
  async #openPatiently(): Promise<Cluster | undefined> {
    while (!this.#closing) {
      try {
        return await Cluster.on(await this.options.cluster.store.again());
      } catch (error) {
        if (!(error instanceof BackendError)) throw error;
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
    return undefined;
  }

  async close(signal?: AbortSignal): Promise<void> {
    this.#closing = true;
    await this.#worker?.close(signal);
    await Promise.all([...this.#offices.values()].map((office) => office.close()));
    this.options.cluster.close();
  }

  /** Where a model's tickets are made. */
  office(model: string): TicketOffice {
    const found = this.#offices.get(model) ?? this.options.cluster.store.office(model);
    this.#offices.set(model, found);
    return found;
  }

  /** How far a task is. */
  async statusOf(task: Task, spec: JobSpec): Promise<JobStatus> {
    const { id, state, step, batch, times, result, error, request: { span } } = task;
    const { backlog } = this.options.cluster;
    const model = spec.model.facts.id;
    const position = state === "queued" ? await reached(backlog.place(model, id)) : undefined;
    return {
      ...{ id, spec, state, step, batch, times, span, error, position },
      eta: isEnd({ event: state }) ? undefined : await reached(this.#eta(model, id, position)),
      result: result as JobStatus["result"], // as the worker wrote it
    };
  }

  /** Seconds until a job ends: what is ahead of it and its own, over what all workers do a second. */
  async #eta(model: string, id: string, place: number | undefined): Promise<number | undefined> {
    const { backlog } = this.options.cluster;
    const ahead = place === undefined ? [] : (await backlog.waiting(model)).slice(0, place);
    const speed = await this.#speed(model);
    return speed === 0 ? undefined : await backlog.macs([...ahead, id]) / speed;
  }

  async #speed(model: string): Promise<number> {
    const workers = await this.options.cluster.workers.of(model);
    return workers.reduce((sum, { speed }) => sum + (speed ?? 0), 0);
  }

  /** A refusal that says when there should be a place: when the job that is next will have begun. */
  async #full(model: string): Promise<RequestError> {
    const { cluster: { backlog }, limits: { queue: queueLimit, deadlineSeconds } } = this.options;
    const [next = ""] = await backlog.waiting(model);
    const seconds = Math.ceil(await this.#eta(model, next, undefined) ?? 1);
    return queueFull(queueLimit, Math.min(Math.max(1, seconds), deadlineSeconds));
  }

  #specOf({ request }: Task): JobSpec {
    const { catalog, defaults } = this.options;
    return specOf(request, { catalog: catalog(), defaults });
  }
}

/** A job in the store. */
class ClusterJob implements QueuedJob {
  constructor(readonly id: string, readonly spec: JobSpec, readonly queue: ClusterQueue) {}

  async status(): Promise<JobStatus> {
    return await this.queue.statusOf(await this.#task(), this.spec);
  }

  events(after: number, signal: AbortSignal): AsyncIterable<LoggedEvent> {
    return this.queue.options.cluster.events.follow(this.id, after, signal);
  }

  async cancel(): Promise<void> {
    await reached(this.queue.options.cluster.tasks.finish(this.id, { state: "cancelled" }));
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
    const task = await reached(this.queue.options.cluster.tasks.read(this.id));
    if (task !== undefined) return task;
    throw new RequestError("The job has expired", { status: 404, code: "job_not_found" });
  }

  async #kept(key: string): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = await reached(this.queue.options.cluster.tasks.kept(key));
    if (bytes !== undefined) return bytes;
    throw new RequestError("The pictures of the job have expired", {
      status: 404,
      code: "result_expired",
    });
  }
}

/** What the store answers; one that cannot be reached is no fault of the client, who may come back. */
async function reached<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (cause) {
    if (cause instanceof RequestError) throw cause;
    throw new RequestError("Cannot reach the queue", {
      status: 503,
      code: "queue_unreachable",
      headers: { "retry-after": "5" },
      cause,
    });
  }
}
