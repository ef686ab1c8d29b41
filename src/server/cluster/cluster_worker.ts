/**
 * A process that draws what lies in the store: it takes tickets, draws their tasks in the queue of this process,
 * and tells the store what happens.
 */

import { grouped } from "../../grouped.ts";
import { bytesOfFloats } from "../../tensor/bytes.ts";
import type { BatchQueue } from "../batch_queue.ts";
import type { Catalog } from "../catalog.ts";
import type { LoggedEvent } from "../event_log.ts";
import type { Job, JobOrigin } from "../job.ts";
import type { Loss } from "../job_queue.ts";
import type { JobSpec, SpecDefaults } from "../job_spec.ts";
import { refusalOf, RequestError } from "../request_error.ts";
import { Keeper } from "./keeper.ts";
import { latentsKey, packFailure, pictureKey, readEditFiles, specOf } from "./task.ts";
import type { Cluster } from "./cluster.ts";
import {
  type HeldTicket,
  LEASE,
  type LeaseTimes,
  type TicketOffice,
  type TicketTaker,
} from "./store.ts";

/** Most writes a second for each job, whatever happens to it: events go together. */
const FLUSH_MS = 100;
/** Milliseconds that a store which is away has to come back, when a worker that leaves has given up all else. */
const LAST_WAIT_MS = 2000;
/** So many workers may be lost over one job before it is given up: perhaps it is the job that kills them. */
const POISON = 5;

export interface ClusterWorkerOptions {
  /** Its own; closed with it. */
  readonly cluster: Cluster;
  /** Draws; it has all of the renderers. */
  readonly queue: BatchQueue;
  readonly catalog: Catalog;
  readonly defaults: SpecDefaults;
  /** Most pictures of a batch of several jobs. */
  readonly maxBatch: number;
  readonly lease?: LeaseTimes | undefined;
  /** Where a model's tickets are made. */
  readonly office: (model: string) => TicketOffice;
  readonly onLoss: (loss: Loss) => void;
}

/** A task as the queue of this process takes it. */
interface AcceptedJob extends JobOrigin {
  readonly spec: JobSpec;
}

/** Draws tasks of the models that its renderers have. */
export class ClusterWorker {
  readonly #takers: readonly TicketTaker[];
  readonly #keeper: Keeper;
  #leaving = false;

  constructor(readonly options: ClusterWorkerOptions) {
    const { cluster: { store }, lease = LEASE, queue } = options;
    const models = grouped(queue.renderers, ({ facts }) => facts.id);
    this.#takers = [...models].map(([model, { length: atOnce }]) => {
      const hold = (ticket: HeldTicket): Promise<"done" | "back"> => this.#hold(ticket);
      return store.taker(model, { hold, atOnce, lease, poison: POISON });
    });
    this.#keeper = new Keeper({
      cluster: options.cluster,
      models,
      speed: () => queue.speed,
      office: options.office,
    });
  }

  /**
   * Takes no more tickets; waits for what it draws, or gives it back when the signal is aborted. A store that is away
   * then gets a moment; after that, leases that end tell others what to draw.
   */
  async close(signal?: AbortSignal): Promise<void> {
    this.#leaving = true;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let giveBack = (): void => {};
    const late = new Promise<void>((resolve) => {
      giveBack = () => {
        void this.options.queue.drain(AbortSignal.abort());
        timer = setTimeout(resolve, LAST_WAIT_MS);
      };
    });
    if (signal?.aborted === true) giveBack();
    signal?.addEventListener("abort", giveBack, { once: true });
    await Promise.race([this.#leave(), late]);
    signal?.removeEventListener("abort", giveBack);
    clearTimeout(timer);
    this.#takers.forEach((taker) => taker.abandon());
    this.options.cluster.close();
  }

  async #leave(): Promise<void> {
    await Promise.all(this.#takers.map((taker) => taker.close()));
    await this.#keeper.close();
  }

  async #hold({ id, owner, signal }: HeldTicket): Promise<"done" | "back"> {
    const { cluster: { tasks }, maxBatch, onLoss } = this.options;
    const ids = await tasks.claim(id, { owner, pictures: maxBatch, attempts: POISON });
    const jobs = await this.#submit(ids, owner);
    const stop = (): void => {
      onLoss("lease");
      jobs.forEach((job) => job.cancel());
    };
    signal.addEventListener("abort", stop, { once: true });
    const ends = await Promise.all(jobs.map((job) => this.#follow(job, owner)));
    signal.removeEventListener("abort", stop);
    if (!this.#leaving || signal.aborted || ends.every((end) => end)) return "done";
    await tasks.handBack(id, owner);
    return "back";
  }

  /** Puts tasks into the queue of this process, all at once, so that they are drawn together. */
  async #submit(ids: readonly string[], owner: string): Promise<readonly Job[]> {
    const known = await Promise.all(ids.map((id) => this.#accepted(id, owner)));
    return this.options.queue.submitTogether(known.flatMap((task) => task ?? []));
  }

  /** What a task draws; one that cannot be drawn here fails, and the reason is its client's. */
  async #accepted(id: string, owner: string): Promise<AcceptedJob | undefined> {
    const { cluster: { tasks }, catalog, defaults, onLoss } = this.options;
    try {
      const task = await tasks.read(id);
      if (task === undefined) return undefined; // it expired
      const spec = specOf(task.request, { catalog, defaults });
      if (task.attempts > 1) onLoss("retry");
      const { request: { edit, span }, times: { created, started = created } } = task;
      const waited = started - created; // by the store's clock, which need not be ours
      return {
        ...{ id, span, created: Date.now() - waited },
        spec: edit === undefined
          ? spec
          : { ...spec, edit: await readEditFiles(await tasks.files(id), edit) },
      };
    } catch (error) {
      await tasks.finish(id, { owner, state: "failed", error: packFailure(asRequestError(error)) });
      return undefined;
    }
  }

  /** Tells the store what happens to a job; whether it has ended there. */
  async #follow(job: Job, owner: string): Promise<boolean> {
    const { cluster: { events } } = this.options;
    const forget = events.onEnded(job.id, () => job.cancel());
    try {
      await this.#forward(job, owner);
      return await this.#end(job, owner);
    } finally {
      forget();
    }
  }

  async #forward(job: Job, owner: string): Promise<void> {
    let events: LoggedEvent[] = [];
    let writing: Promise<void> = Promise.resolve();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const write = async (): Promise<void> => {
      const told = events;
      events = [];
      timer = undefined;
      if (told.length === 0) return;
      const { id, step, batch = 0 } = job;
      const ours = await this.options.cluster.tasks.progress(id, {
        owner,
        step,
        batch,
        events: told,
      });
      if (!ours) job.cancel(); // it has ended, or another draws it by now
    };
    for await (const event of job.log.follow(0, new AbortController().signal)) {
      if (event.event === "queued" || !job.isOpen && event.event === job.state) continue;
      events.push(event);
      timer ??= setTimeout(() => writing = writing.then(write), FLUSH_MS);
    }
    clearTimeout(timer);
    await writing;
    await write();
  }

  async #end({ id, state, result, error }: Job, owner: string): Promise<boolean> {
    const { cluster: { tasks, results } } = this.options;
    if (state === "failed") {
      const told = packFailure(asRequestError(error));
      await tasks.finish(id, { owner, state, error: told });
      return true;
    }
    if (result === undefined) return false; // cancelled: by its client, or since this process leaves
    const { images, latents, ...rest } = result;
    const made = new Map(images.map((bytes, i) => [pictureKey(id, owner, i), bytes]));
    made.set(latentsKey(id, owner), bytesOfFloats(latents.data));
    const failure = await this.#keep(made);
    if (failure !== undefined) {
      await tasks.finish(id, { owner, state: "failed", error: packFailure(failure) });
      return true;
    }
    const told = JSON.stringify({ ...rest, dims: latents.dims });
    if (await tasks.finish(id, { owner, state: "completed", result: told })) return true;
    const task = await tasks.read(id); // of an answer that was lost with the connection, the end is ours
    const isOurs = task?.state === "completed" && task.owner === owner;
    if (!isOurs) await results.drop([...made.keys()]); // another drew it, or it was cancelled
    return true;
  }

  /** Keeps what was made; why that cannot be, where its place is not the store, which nothing goes on without. */
  async #keep(
    made: ReadonlyMap<string, Uint8Array<ArrayBuffer>>,
  ): Promise<RequestError | undefined> {
    const { results, lasting } = this.options.cluster;
    try {
      await Promise.all([...made].map(([key, bytes]) => results.keep(key, bytes)));
      return undefined;
    } catch (cause) {
      if (lasting === undefined) throw cause;
      await results.drop([...made.keys()]).catch(() => {}); // it is away
      return new RequestError("Cannot complete the job: its pictures cannot be kept", {
        status: 503,
        code: "results_unreachable",
        cause,
      });
    }
  }
}

/** A failure as its client sees it, whatever the process that tells it. */
function asRequestError(error: unknown): RequestError {
  if (error instanceof RequestError) return error;
  const { status, body: { error: { message, code, param } } } = refusalOf(error);
  return new RequestError(message, { status, code, param: param ?? undefined, cause: error });
}
