/**
 * The bounded queue and its renderers: similar jobs run as one batch, in lock-step.
 */

import { BackendError } from "../errors.ts";
import type { Batch, Renderer, RenderStep } from "../worker/renderer.ts";
import type { JobSpec } from "./job_spec.ts";
import { isAlike } from "./job_spec.ts";
import { Job, type JobOrigin, type JobPlace } from "./job.ts";
import { PromisedPlaces } from "./promised_places.ts";
import { queueFull, stopping, tooLate } from "./refusals.ts";
import { RequestError } from "./request_error.ts";
import { Throughput } from "./throughput.ts";

export interface BatchQueueOptions {
  /** Most jobs that wait. */
  readonly queueLimit: number;
  /** Most pictures of a batch of several jobs; a job alone may have more. */
  readonly maxBatch: number;
  /** Longest time from request to pictures, in seconds. */
  readonly deadlineSeconds: number;
  /** Reopens a renderer whose device or worker failed; without it the same renderer is used again. */
  readonly reopen?: ((failed: Renderer) => Promise<Renderer>) | undefined;
  readonly onStep?: ((step: RenderStep, spec: JobSpec, pictures: number) => void) | undefined;
  /** Called for every job when it is begun. */
  readonly onStart?: ((job: Job) => void) | undefined;
  /** Called after every job, however it ended. */
  readonly onEnd?: ((job: Job) => void) | undefined;
  /** A clock in milliseconds; `Date.now` unless given. */
  readonly now?: (() => number) | undefined;
}

/** A renderer and what it does. */
interface Slot {
  renderer: Renderer;
  running: readonly Job[];
  /** Why it cannot be used any more. */
  failure?: unknown;
}

/** Runs jobs, as many batches at once as there are renderers. */
export class BatchQueue implements JobPlace {
  readonly #slots: Slot[] = [];
  readonly #waiting: Job[] = [];
  readonly #throughput = new Throughput();
  readonly #timers = new Map<Job, ReturnType<typeof setTimeout>>();
  readonly #places: PromisedPlaces;
  #draining = false;

  /** Makes a queue without renderers; jobs wait until one is added. */
  constructor(readonly options: BatchQueueOptions) {
    this.#places = new PromisedPlaces({ most: options.deadlineSeconds, now: options.now });
  }

  add(renderers: readonly Renderer[]): void {
    this.#slots.push(...renderers.map((renderer) => ({ renderer, running: [] })));
    this.#pump();
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Jobs that wait, the next one first. */
  get waitingJobs(): readonly Job[] {
    return this.#waiting;
  }

  get running(): number {
    return this.#slots.reduce((sum, { running }) => sum + running.length, 0);
  }

  /** Whether new jobs are refused. */
  get draining(): boolean {
    return this.#draining;
  }

  /** Renderers that work. */
  get renderers(): readonly Renderer[] {
    return this.#slots.filter(({ failure }) => failure === undefined)
      .map(({ renderer }) => renderer);
  }

  /**
   * Adds a job.
   *
   * @throws {RequestError} 429 when too many wait, 503 when the server is shutting down or no renderer is left.
   */
  submit(spec: JobSpec, origin: JobOrigin = {}): Job {
    this.#refuseIfClosed();
    this.#refuseIfFull();
    const job = this.#wait(spec, origin);
    this.#pump();
    if (job.state === "queued") job.logPosition();
    return job;
  }

  /** Adds jobs that were accepted elsewhere, under their ids there; those that are alike are drawn together. */
  submitTogether(accepted: readonly (JobOrigin & { readonly spec: JobSpec })[]): Job[] {
    const jobs = accepted.map(({ spec, ...origin }) => this.#wait(spec, origin));
    this.#pump();
    return jobs;
  }

  #wait(spec: JobSpec, origin: JobOrigin): Job {
    const job = new Job(spec, this, origin);
    job.onEnd = () => this.#forget(job);
    const seconds = this.options.deadlineSeconds;
    this.#timers.set(job, setTimeout(() => job.fail(tooLate(seconds)), seconds * 1000));
    this.#waiting.push(job);
    return job;
  }

  /** Number of jobs ahead of it. */
  position(job: Job): number | undefined {
    const at = this.#waiting.indexOf(job);
    return at < 0 ? undefined : at;
  }

  /** Seconds until it ends: its own work, and its share of what is ahead of it. */
  eta(job: Job): number | undefined {
    const at = this.#waiting.indexOf(job);
    const ahead = at < 0
      ? 0
      : [...this.#waiting.slice(0, at), ...this.#slots.flatMap(({ running }) => running)]
        .reduce((sum, each) => sum + remaining(each), 0) / Math.max(1, this.#slots.length);
    const mates = this.#slots.find(({ running }) => running.includes(job))?.running ?? [job];
    const own = mates.reduce((sum, each) => sum + remaining(each), 0);
    return this.#throughput.secondsOf(ahead + own);
  }

  /** Multiply-accumulates a second of one renderer; `undefined` before any step was measured. */
  get speed(): number | undefined {
    const seconds = this.#throughput.secondsOf(1);
    return seconds === undefined ? undefined : 1 / seconds;
  }

  /** Refuses new jobs and waits until all have ended; those that take too long are cancelled. */
  async drain(signal?: AbortSignal): Promise<void> {
    this.#draining = true;
    const open = [...this.#waiting, ...this.#slots.flatMap(({ running }) => running)];
    const reason = stopping("Cannot complete the job: the server is shutting down");
    const cancel = (): void => open.forEach((job) => job.cancel(reason));
    if (signal?.aborted === true) cancel();
    signal?.addEventListener("abort", cancel, { once: true });
    await Promise.all(open.map(({ ended }) => ended));
    signal?.removeEventListener("abort", cancel);
    await Promise.all([...this.#batches]);
  }

  readonly #batches = new Set<Promise<void>>();

  /** Gives every idle renderer the job that has waited longest, and the jobs that can run with it. */
  #pump(): void {
    for (const slot of this.#slots) {
      if (slot.running.length > 0 || slot.failure !== undefined) continue;
      const jobs = this.#take(slot.renderer);
      if (jobs.length === 0) continue;
      slot.running = jobs;
      const batch = this.#run(slot, jobs).finally(() => this.#batches.delete(batch));
      this.#batches.add(batch);
      for (const job of this.#waiting) job.logPosition();
    }
  }

  #take({ facts }: Renderer): Job[] {
    const first = this.#waiting.find(({ spec }) => spec.model.facts.id === facts.id);
    if (first === undefined) return [];
    const taken: Job[] = [];
    let pictures = 0;
    for (const job of [...this.#waiting]) {
      const count = job.spec.pictures.length;
      const fits = job === first || pictures + count <= this.options.maxBatch;
      if (!fits || !isAlike(job.spec, first.spec)) continue;
      taken.push(job);
      pictures += count;
      this.#waiting.splice(this.#waiting.indexOf(job), 1);
    }
    return taken;
  }

  /** Runs one batch; never rejects. */
  async #run(slot: Slot, jobs: readonly Job[]): Promise<void> {
    const stop = new AbortController();
    const firstRows = rowsOf(jobs);
    const { steps, sampler, plan, policy, trueGuidance, edit } = jobs[0]!.spec; // a batch has a job
    const pictures = jobs.flatMap((job) => job.spec.pictures);
    for (const job of jobs) {
      job.start(pictures.length);
      this.options.onStart?.(job);
      job.onEnd = () => {
        this.#forget(job);
        if (!jobs.some(({ isOpen }) => isOpen)) stop.abort();
      };
    }
    const how = { steps, sampler, plan: plan?.plan, policy, trueGuidance, edit: edit?.options };
    const batch: Batch = { pictures, ...how };
    let finishing: Promise<unknown> = Promise.resolve();
    try {
      const rendered = await slot.renderer.render(batch, {
        signal: stop.signal,
        previews: jobs.some((job) => job.spec.previewSteps.size > 0),
        onPreparing: (progress) => jobs.forEach((job) => job.prepare(progress)),
        onStep: (step) => this.#countStep(step, jobs),
      });
      finishing = Promise.all(jobs.map((job, i) => job.complete(rendered, firstRows[i]!)));
    } catch (error) {
      for (const job of jobs) job.fail(error); // those that were cancelled stay so
      if (error instanceof BackendError) await this.#replace(slot, error);
    }
    slot.running = [];
    this.#pump(); // the device goes on while pictures are encoded
    await finishing;
  }

  #countStep(step: RenderStep, jobs: readonly Job[]): void {
    const macs = jobs.reduce((sum, { spec }) => sum + spec.costs[step.index]!, 0);
    // What a policy let a step reuse is not in its costs.
    if (jobs[0]!.spec.policy === undefined || step.kind === "full") {
      this.#throughput.add(step.seconds, macs);
    }
    const pictures = jobs.reduce((sum, { spec }) => sum + spec.pictures.length, 0);
    this.options.onStep?.(step, jobs[0]!.spec, pictures); // a batch has a job
    const firstRows = rowsOf(jobs);
    jobs.forEach((job, i) => job.advance(step, firstRows[i]!));
  }

  /** A device or a worker that failed once is not trusted again. */
  async #replace(slot: Slot, error: BackendError): Promise<void> {
    const { reopen } = this.options;
    if (reopen === undefined) return;
    try {
      slot.renderer = await reopen(slot.renderer);
    } catch (cause) {
      slot.failure = cause;
      if (this.renderers.length === 0) [...this.#waiting].forEach((job) => job.fail(error));
    }
  }

  #forget(job: Job): void {
    clearTimeout(this.#timers.get(job));
    this.#timers.delete(job);
    const at = this.#waiting.indexOf(job);
    if (at >= 0) {
      this.#waiting.splice(at, 1);
      for (const other of this.#waiting.slice(at)) other.logPosition();
    }
    this.options.onEnd?.(job);
  }

  #refuseIfClosed(): void {
    if (this.#draining) throw stopping();
    if (this.#slots.length === 0 || this.renderers.length > 0) return;
    throw new RequestError("Cannot generate: no renderer works any more", {
      status: 503,
      code: "backend_failed",
      headers: { "retry-after": "10" },
    });
  }

  /** Full are also places that clients were promised, as long as the renderers have work without them. */
  #refuseIfFull(): void {
    const { queueLimit, maxBatch } = this.options;
    const enough = Math.min(queueLimit / 2, maxBatch * this.#slots.length);
    const seconds = this.#places.ask({
      free: queueLimit - this.#waiting.length,
      urgent: this.#waiting.length < enough,
      secondsUntil: (place) => this.#secondsUntilFree(place),
    });
    if (seconds === undefined) return;
    throw queueFull(queueLimit, seconds);
  }

  /** Seconds until a place of the queue is free, `after` others having become free before it. */
  #secondsUntilFree(after: number): number {
    const running = this.#slots.flatMap(({ running }) => running).map(remaining);
    const waiting = this.#waiting.map(remaining); // a place is free when its job begins
    const sum = (macs: readonly number[]): number => macs.reduce((all, each) => all + each, 0);
    const mean = sum(waiting) / Math.max(1, waiting.length);
    const later = Math.max(0, after - waiting.length) * mean;
    const macs = sum(running) + sum(waiting.slice(0, after)) + later;
    return this.#throughput.guess(macs / Math.max(1, this.#slots.length));
  }
}

/** Multiply-accumulates of the steps that a job has left. */
function remaining({ step, spec: { costs } }: Job): number {
  return costs.slice(step).reduce((sum, macs) => sum + macs, 0);
}

/** Row of the batch at which each job's pictures begin. */
function rowsOf(jobs: readonly Job[]): number[] {
  let next = 0;
  return jobs.map(({ spec: { pictures } }) => (next += pictures.length) - pictures.length);
}
