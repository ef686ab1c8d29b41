/**
 * Jobs in a store that any number of servers share: each of them takes jobs and answers for all.
 */

import { BackendError } from "../../errors.ts";
import type { RendererFacts } from "../../worker/renderer.ts";
import type { BatchQueue } from "../batch_queue.ts";
import { isEnd } from "../event_log.ts";
import type { JobSpec } from "../job_spec.ts";
import {
  type Asked,
  isUnreadable,
  type JobFilter,
  type JobPage,
  type JobStatus,
  type KeptImage,
  type ListedJob,
  type QueuedJob,
  type ServerParts,
  type SharedQueue,
} from "../job_queue.ts";
import { queueFull, stopping } from "../refusals.ts";
import { askerOf } from "../key_digest.ts";
import { MOST_SECONDS, type RateLimit } from "../rates.ts";
import { expectRetry, type Retry } from "../retry.ts";
import { FAST } from "../throughput.ts";
import { ClusterWorker } from "./cluster_worker.ts";
import { editFiles, requestOf, shapeOf, specOf, type Task } from "./task.ts";
import type { Cluster } from "./cluster.ts";
import { ClusterJob } from "./cluster_job.ts";
import { reached, resultsReached } from "./reached.ts";
import type { LeaseTimes, Room, TicketOffice, WorkerNote } from "./store.ts";

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
    const { cluster: { tasks }, limits } = this.options;
    const { retry } = asked;
    const earlier = retry && await this.#earlier(retry);
    if (earlier !== undefined) return earlier;
    const id = retry?.id ?? crypto.randomUUID();
    const model = spec.model.facts.id;
    const room = await reached(this.#room(model));
    const added = await reached(tasks.add({
      ...{ id, model },
      asker: askerOf(owner),
      listed,
      unwatched: (this.#unwatchedSeconds(asked.body) ?? 0) * 1000,
      shape: shapeOf(spec, id),
      pictures: spec.pictures.length,
      macs: spec.costs.reduce((sum, macs) => sum + macs, 0),
      steps: spec.program.length,
      request: requestOf(spec, asked),
      deadlineSeconds: limits.deadlineSeconds,
      files: spec.edit && await editFiles(spec.edit),
    }, room));
    if (added.kind === "full") throw queueFull(limits.queue, added.seconds);
    // Accepted from here on: a ticket that is lost with the store is made again by the keepers of the workers.
    await this.office(model).add(id, added.turn).catch(() => {});
    const stored = retry && await this.#earlier(retry); // another server may have been faster, with another seed
    return stored ?? this.#jobOf(id, spec, asked.body);
  }

  /** The job of a request that is sent again. */
  async #earlier(retry: Retry): Promise<QueuedJob | undefined> {
    const task = await reached(this.options.cluster.tasks.read(retry.id));
    if (task === undefined) return undefined;
    expectRetry(task.request.retry, retry);
    return this.#jobOf(task.id, this.#specOf(task), task.request.body);
  }

  async find(id: string): Promise<QueuedJob | undefined> {
    const task = await reached(this.options.cluster.tasks.read(id));
    return task && this.#jobOf(id, this.#specOf(task), task.request.body);
  }

  async list({ owner, state, limit, after }: JobFilter): Promise<JobPage> {
    const ids = await reached(this.options.cluster.backlog.listed(askerOf(owner)));
    const older = after === undefined ? ids : ids.slice(ids.indexOf(after) + 1);
    const jobs: ListedJob[] = [];
    for (const id of older) {
      const job = await this.#listed(id, state);
      if (job === undefined) continue;
      if (jobs.length === limit) return { jobs, hasMore: true };
      jobs.push(job);
    }
    return { jobs, hasMore: false };
  }

  /** A job of a list; one that cannot be read is there, and says why. */
  async #listed(id: string, wanted: JobFilter["state"]): Promise<ListedJob | undefined> {
    const { tasks } = this.options.cluster;
    try {
      const task = await reached(tasks.read(id));
      if (task === undefined || wanted !== undefined && task.state !== wanted) return undefined;
      return await this.statusOf(task, this.#specOf(task));
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      const state = await reached(tasks.state(id));
      return state === undefined || wanted !== undefined && state !== wanted
        ? undefined
        : { id, state, error };
    }
  }

  async publish(name: string, { bytes, type }: KeptImage): Promise<void> {
    const { tasks, results } = this.options.cluster;
    await reached(tasks.keep(`image:${name}:type`, new TextEncoder().encode(type))); // as long as it is there
    await resultsReached(results.keep(`image:${name}`, bytes));
  }

  async published(name: string): Promise<KeptImage | undefined> {
    const { tasks, results } = this.options.cluster;
    const type = await reached(tasks.kept(`image:${name}:type`));
    if (type === undefined) return undefined;
    const bytes = await resultsReached(results.kept(`image:${name}`));
    return bytes && { bytes, type: new TextDecoder().decode(type) };
  }

  async waiting(): Promise<ReadonlyMap<string, number>> {
    return await reached(this.options.cluster.usage.depths());
  }

  async pass(asker: string, limit: RateLimit): Promise<number | undefined> {
    const { usage } = this.options.cluster;
    return await reached(usage.pass(asker, { ...limit, longest: MOST_SECONDS }));
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
        return await this.options.cluster.again();
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
      eta: isEnd({ event: state }) ? undefined : await reached(this.#eta(model, id)),
      result: result as JobStatus["result"], // as the worker wrote it
    };
  }

  /** Seconds until a job ends: what is ahead of it and its own, over what all workers do a second. */
  async #eta(model: string, id: string): Promise<number | undefined> {
    const { backlog, workers } = this.options.cluster;
    const speed = speedOf(await workers.of(model));
    return speed === 0 ? undefined : await backlog.macsToEnd(id) / speed;
  }

  /** For how many jobs of a model there is room, by what its workers can do. */
  async #room(model: string): Promise<Room> {
    const { cluster: { workers }, limits: { queue: most, batch, deadlineSeconds } } = this.options;
    const there = await workers.of(model);
    const renderers = there.reduce((sum, worker) => sum + worker.renderers, 0);
    return {
      most,
      enough: Math.min(most / 2, batch * renderers),
      speed: speedOf(there) || FAST * Math.max(1, renderers),
      longest: deadlineSeconds,
    };
  }

  #jobOf(id: string, spec: JobSpec, body: Asked["body"]): ClusterJob {
    return new ClusterJob(id, spec, {
      cluster: this.options.cluster,
      unwatchedSeconds: this.#unwatchedSeconds(body),
      statusOf: (task, own) => this.statusOf(task, own),
    });
  }

  /** Seconds without a follower after which a job is cancelled that asks for that. */
  #unwatchedSeconds(body: Asked["body"]): number | undefined {
    return body["watched"] === true ? this.options.limits.unwatchedSeconds : undefined;
  }

  #specOf({ request }: Task): JobSpec {
    const { catalog, defaults } = this.options;
    return specOf(request, { catalog: catalog(), defaults });
  }
}

/** Multiply-accumulates a second of workers; 0 before any of them has drawn anything. */
function speedOf(workers: readonly WorkerNote[]): number {
  return workers.reduce((sum, { speed }) => sum + (speed ?? 0), 0);
}
