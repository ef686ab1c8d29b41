/**
 * The bounded queue and its renderers: requests that are alike are drawn together, in lock-step.
 *
 * @module
 */

import { BackendError } from "../errors.ts";
import type { Batch, Renderer, RenderStep } from "../worker/renderer.ts";
import type { Drawing } from "./drawing.ts";
import { isAlike } from "./drawing.ts";
import { Job, type JobPlace } from "./job.ts";
import { RequestError } from "./request_error.ts";
import { Throughput } from "./throughput.ts";

/** Bounds and listeners of a studio. */
export interface StudioOptions {
  /** Most jobs that wait. */
  readonly queueLimit: number;
  /** Most pictures of a batch of several jobs; a job alone may have more. */
  readonly maxBatch: number;
  /** Longest time from request to pictures, in seconds. */
  readonly deadlineSeconds: number;
  /** Makes a renderer anew after its device or worker failed; without it the renderer is used on. */
  readonly reopen?: ((failed: Renderer) => Promise<Renderer>) | undefined;
  /** Hears of every step. */
  readonly onStep?: ((step: RenderStep, drawing: Drawing, pictures: number) => void) | undefined;
  /** Hears of every job that has ended. */
  readonly onEnd?: ((job: Job) => void) | undefined;
}

/** A renderer and what it does. */
interface Lane {
  renderer: Renderer;
  running: readonly Job[];
  /** Why it can draw no more. */
  failure?: unknown;
}

/** Draws jobs, as many at once as there are renderers. */
export class Studio implements JobPlace {
  readonly #lanes: Lane[] = [];
  readonly #waiting: Job[] = [];
  readonly #throughput = new Throughput();
  readonly #timers = new Map<Job, ReturnType<typeof setTimeout>>();
  #draining = false;

  /** Makes a studio without renderers; jobs wait until some are added. */
  constructor(readonly options: StudioOptions) {}

  /** Puts renderers to work. */
  add(renderers: readonly Renderer[]): void {
    this.#lanes.push(...renderers.map((renderer) => ({ renderer, running: [] })));
    this.#pump();
  }

  /** Jobs that wait. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Jobs that run. */
  get running(): number {
    return this.#lanes.reduce((sum, { running }) => sum + running.length, 0);
  }

  /** Whether new jobs are refused. */
  get draining(): boolean {
    return this.#draining;
  }

  /** Renderers that work. */
  get renderers(): readonly Renderer[] {
    return this.#lanes.filter(({ failure }) => failure === undefined)
      .map(({ renderer }) => renderer);
  }

  /**
   * Takes a job in.
   *
   * @throws {RequestError} 429 when too many wait, 503 when the server is about to stop or no renderer is left.
   */
  submit(drawing: Drawing): Job {
    this.#refuseIfClosed();
    if (this.#waiting.length >= this.options.queueLimit) {
      throw new RequestError(
        `Cannot take the job: at most ${this.options.queueLimit} may wait`,
        { status: 429, code: "queue_full", headers: { "retry-after": `${this.#retryAfter()}` } },
      );
    }
    const job = new Job(drawing, this);
    job.onEnd = () => this.#forget(job);
    const seconds = this.options.deadlineSeconds;
    this.#timers.set(job, setTimeout(() => job.fail(tooLate(seconds)), seconds * 1000));
    this.#waiting.push(job);
    this.#pump();
    if (job.state === "queued") job.tellPosition();
    return job;
  }

  /** Jobs ahead of it. */
  position(job: Job): number | undefined {
    const at = this.#waiting.indexOf(job);
    return at < 0 ? undefined : at;
  }

  /** Seconds until it ends: its own work, and its share of what is ahead of it. */
  eta(job: Job): number | undefined {
    const at = this.#waiting.indexOf(job);
    const ahead = at < 0
      ? 0
      : [...this.#waiting.slice(0, at), ...this.#lanes.flatMap(({ running }) => running)]
        .reduce((sum, each) => sum + remaining(each), 0) / Math.max(1, this.#lanes.length);
    const mates = this.#lanes.find(({ running }) => running.includes(job))?.running ?? [job];
    const own = mates.reduce((sum, each) => sum + remaining(each), 0);
    return this.#throughput.secondsOf(ahead + own);
  }

  /** Refuses new jobs and waits until all have ended; those that take too long are cancelled. */
  async drain(signal?: AbortSignal): Promise<void> {
    this.#draining = true;
    const open = [...this.#waiting, ...this.#lanes.flatMap(({ running }) => running)];
    const cancel = (): void => open.forEach((job) => job.cancel());
    if (signal?.aborted === true) cancel();
    signal?.addEventListener("abort", cancel, { once: true });
    await Promise.all(open.map(({ ended }) => ended));
    signal?.removeEventListener("abort", cancel);
    await Promise.all([...this.#batches]);
  }

  readonly #batches = new Set<Promise<void>>();

  /** Gives every idle renderer the job that waits longest, and those that are like it. */
  #pump(): void {
    for (const lane of this.#lanes) {
      if (lane.running.length > 0 || lane.failure !== undefined) continue;
      const jobs = this.#take(lane.renderer);
      if (jobs.length === 0) continue;
      lane.running = jobs;
      const batch = this.#draw(lane, jobs).finally(() => this.#batches.delete(batch));
      this.#batches.add(batch);
      for (const job of this.#waiting) job.tellPosition();
    }
  }

  #take({ facts }: Renderer): Job[] {
    const first = this.#waiting.find(({ drawing }) => drawing.model.facts.id === facts.id);
    if (first === undefined) return [];
    const taken: Job[] = [];
    let pictures = 0;
    for (const job of [...this.#waiting]) {
      const count = job.drawing.pictures.length;
      const fits = job === first || pictures + count <= this.options.maxBatch;
      if (!fits || !isAlike(job.drawing, first.drawing)) continue;
      taken.push(job);
      pictures += count;
      this.#waiting.splice(this.#waiting.indexOf(job), 1);
    }
    return taken;
  }

  /** Draws one batch; never rejects. */
  async #draw(lane: Lane, jobs: readonly Job[]): Promise<void> {
    const stop = new AbortController();
    const firstRows = rowsOf(jobs);
    const { drawing } = jobs[0]!; // a batch has a job
    const pictures = jobs.flatMap((job) => job.drawing.pictures);
    for (const job of jobs) {
      job.start(pictures.length);
      job.onEnd = () => {
        this.#forget(job);
        if (!jobs.some(({ isOpen }) => isOpen)) stop.abort();
      };
    }
    const batch: Batch = { pictures, steps: drawing.steps, plan: drawing.plan?.plan };
    let finishing: Promise<unknown> = Promise.resolve();
    try {
      const rendered = await lane.renderer.render(batch, {
        signal: stop.signal,
        previews: jobs.some((job) => job.drawing.previewSteps.size > 0),
        onStep: (step) => this.#hearStep(step, jobs),
      });
      finishing = Promise.all(jobs.map((job, i) => job.complete(rendered, firstRows[i]!)));
    } catch (error) {
      for (const job of jobs) job.fail(error); // those that were cancelled stay so
      if (error instanceof BackendError) await this.#replace(lane, error);
    }
    lane.running = [];
    this.#pump(); // the device goes on while pictures are encoded
    await finishing;
  }

  #hearStep(step: RenderStep, jobs: readonly Job[]): void {
    const macs = jobs.reduce((sum, { drawing }) => sum + drawing.costs[step.index]!, 0);
    this.#throughput.add(step.seconds, macs);
    const pictures = jobs.reduce((sum, { drawing }) => sum + drawing.pictures.length, 0);
    this.options.onStep?.(step, jobs[0]!.drawing, pictures); // a batch has a job
    const firstRows = rowsOf(jobs);
    jobs.forEach((job, i) => job.advance(step, firstRows[i]!));
  }

  /** A device or a worker that failed once is not trusted again. */
  async #replace(lane: Lane, error: BackendError): Promise<void> {
    const { reopen } = this.options;
    if (reopen === undefined) return;
    try {
      lane.renderer = await reopen(lane.renderer);
    } catch (cause) {
      lane.failure = cause;
      if (this.renderers.length === 0) [...this.#waiting].forEach((job) => job.fail(error));
    }
  }

  #forget(job: Job): void {
    clearTimeout(this.#timers.get(job));
    this.#timers.delete(job);
    const at = this.#waiting.indexOf(job);
    if (at >= 0) {
      this.#waiting.splice(at, 1);
      for (const other of this.#waiting.slice(at)) other.tellPosition();
    }
    this.options.onEnd?.(job);
  }

  #refuseIfClosed(): void {
    const why = this.#draining
      ? "the server must not be about to stop"
      : this.#lanes.length > 0 && this.renderers.length === 0
      ? "a renderer must work"
      : undefined;
    if (why === undefined) return;
    throw new RequestError(`Cannot take the job: ${why}`, {
      status: 503,
      code: this.#draining ? "draining" : "backend_failed",
      headers: { "retry-after": "10" },
    });
  }

  /** Whole seconds until, by what was measured, a place in the queue is free. */
  #retryAfter(): number {
    const jobs = [...this.#waiting, ...this.#lanes.flatMap(({ running }) => running)];
    const all = jobs.reduce((sum, job) => sum + remaining(job), 0);
    const seconds = this.#throughput.secondsOf(all / Math.max(1, jobs.length)) ?? 1;
    return Math.max(1, Math.ceil(seconds / Math.max(1, this.#lanes.length)));
  }
}

/** Multiply-accumulates that are still ahead of a job. */
function remaining({ step, drawing: { costs } }: Job): number {
  return costs.slice(step).reduce((sum, macs) => sum + macs, 0);
}

/** Row of the batch at which each job's pictures begin. */
function rowsOf(jobs: readonly Job[]): number[] {
  let next = 0;
  return jobs.map(({ drawing: { pictures } }) => (next += pictures.length) - pictures.length);
}

function tooLate(seconds: number): RequestError {
  return new RequestError(`Cannot complete the job: it must end within ${seconds} s`, {
    status: 504,
    code: "deadline_exceeded",
  });
}
