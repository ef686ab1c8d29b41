/**
 * One request for pictures on its way: waiting, running, and how it ended.
 */

import type { Preparing } from "../engine/preparing.ts";
import { commonKind } from "../plan/step_counts.ts";
import { sliceRows } from "../tensor/rows.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Rendered, RenderStep } from "../worker/renderer.ts";
import { type JobSpec, plannedKinds } from "./job_spec.ts";
import { planView } from "./catalog.ts";
import { toBase64 } from "./base64.ts";
import { encodePreview, encodeResult } from "./encode.ts";
import { EventLog } from "./event_log.ts";
import type { RequestError } from "./request_error.ts";
import { nextSpan } from "./trace.ts";

/** State of a job; the last three are final. */
export type JobState = "queued" | "running" | "completed" | "failed" | "cancelled";

/** What a finished job made. */
export interface JobResult extends Omit<Rendered, "latents" | "pictures"> {
  /** Final latents `(n, C, H, W)`. */
  readonly latents: Tensor;
  /** Each picture, encoded as was asked for. */
  readonly images: readonly Uint8Array<ArrayBuffer>[];
}

/** Times of a job, in Unix milliseconds. */
export interface JobTimes {
  readonly created: number;
  readonly started: number | undefined;
  readonly finished: number | undefined;
}

/** What a job needs of its queue. */
export interface JobPlace {
  /** Number of jobs ahead of it; `undefined` when it does not wait. */
  position(job: Job): number | undefined;
  /** Seconds until it ends; `undefined` before any step was measured. */
  eta(job: Job): number | undefined;
}

/** What is known of a job that was accepted elsewhere. */
export interface JobOrigin {
  /** Random unless given, so that nobody can guess it. */
  readonly id?: string | undefined;
  /** When it was asked for, in Unix milliseconds; now unless given. */
  readonly created?: number | undefined;
  /** Span of the request that it came with, as a `traceparent`. */
  readonly span?: string | undefined;
}

/** A job; its queue changes its state. */
export class Job {
  /** What has happened. */
  readonly log: EventLog = new EventLog();
  /** Resolves when it has ended, however it ended. */
  readonly ended: Promise<void>;
  /** Called when it has ended. */
  onEnd: () => void = () => {};
  #state: JobState = "queued";
  #times: JobTimes;
  #step = 0;
  #batch: number | undefined;
  #result: JobResult | undefined;
  #error: unknown;
  #previews: Promise<void> = Promise.resolve();
  #resolveEnded: () => void = () => {};

  readonly id: string;
  /** Its span of the trace of its request, as a `traceparent`. */
  readonly span: string;

  constructor(
    readonly spec: JobSpec,
    readonly place: JobPlace,
    { id = crypto.randomUUID(), created = Date.now(), span }: JobOrigin = {},
  ) {
    this.id = id;
    this.span = nextSpan(span);
    this.#times = { created, started: undefined, finished: undefined };
    this.ended = new Promise((resolve) => { // Node 20 has no Promise.withResolvers
      this.#resolveEnded = resolve;
    });
  }

  get state(): JobState {
    return this.#state;
  }

  /** Whether it waits or runs. */
  get isOpen(): boolean {
    return this.#state === "queued" || this.#state === "running";
  }

  get times(): JobTimes {
    return this.#times;
  }

  get step(): number {
    return this.#step;
  }

  /** Pictures of its batch, its own and those of other jobs; `undefined` before it runs. */
  get batch(): number | undefined {
    return this.#batch;
  }

  get result(): JobResult | undefined {
    return this.#result;
  }

  get error(): unknown {
    return this.#error;
  }

  /** Logs its place in the queue. */
  logPosition(): void {
    const position = this.place.position(this);
    const eta_seconds = this.place.eta(this) ?? null;
    this.#log("queued", { queue_position: position ?? null, eta_seconds }, "queued");
  }

  /** Marks it as running in a batch of `batch` pictures. */
  start(batch: number): void {
    this.#state = "running";
    this.#batch = batch;
    this.#times = { ...this.#times, started: Date.now() };
    const { program, plan, model } = this.spec;
    const kinds = plannedKinds(this.spec);
    this.#log("started", { steps: program.length, kinds, batch, plan: planView(plan, model) });
  }

  /** Tells how far it is before its first step. */
  prepare(progress: Preparing): void {
    if (this.isOpen) this.#log("preparing", { ...progress }, "preparing");
  }

  /** Counts a finished step; its own pictures begin at row `first` of the batch. */
  advance({ index, kind: common, kinds, seconds, preview }: RenderStep, first: number): void {
    if (!this.isOpen) return;
    const { program: { length: steps }, pictures: { length: pictures } } = this.spec;
    this.#step = index + 1;
    const kind = kinds === undefined ? common : commonKind(kinds.slice(first, first + pictures));
    const elapsed_seconds = (Date.now() - (this.#times.started ?? 0)) / 1000;
    const eta_seconds = this.place.eta(this) ?? null;
    this.#log("step", { index, steps, kind, seconds, elapsed_seconds, eta_seconds });
    if (preview === undefined || !this.spec.previewSteps.has(index)) return;
    const rows = sliceRows(preview, first, pictures);
    this.#previews = this.#previews.then(() => this.#preview(rows, index));
  }

  /** Encodes its pictures and completes it. */
  async complete(
    { latents, pictures: all, ...rendered }: Rendered,
    first: number,
  ): Promise<void> {
    if (!this.isOpen) return;
    const { length } = this.spec.pictures;
    const own = (batch: Tensor): Tensor => sliceRows(batch, first, length);
    const ofOwn = <T>(all?: readonly T[]): readonly T[] | undefined =>
      all?.slice(first, first + length);
    try {
      await this.#previews;
      const images = await encodeResult(this.spec, own(all!)); // models without pictures are refused before
      if (this.isOpen) {
        const each = { tokens: ofOwn(rendered.tokens), reused: ofOwn(rendered.reused) };
        this.#result = { ...rendered, ...each, latents: own(latents), images };
        this.#end("completed");
      }
    } catch (error) {
      this.fail(error);
    }
  }

  fail(error: unknown): void {
    if (!this.isOpen) return;
    this.#error = error;
    this.#end("failed");
  }

  /** Cancels it, for a reason if it is not its client's will. Other jobs of its batch go on. */
  cancel(reason?: RequestError): void {
    if (!this.isOpen) return;
    this.#error = reason;
    this.#end("cancelled");
  }

  async #preview(rows: Tensor, index: number): Promise<void> {
    const images = await encodePreview(this.spec, rows);
    if (!this.isOpen) return;
    for (const [image_index, bytes] of images.entries()) {
      const preview = { index, image_index, b64_json: toBase64(bytes) };
      this.#log("preview", preview, `preview ${image_index}`);
    }
  }

  #end(state: "completed" | "failed" | "cancelled"): void {
    this.#state = state;
    this.#times = { ...this.#times, finished: Date.now() };
    this.#log(state, {});
    this.log.end();
    this.onEnd();
    this.#resolveEnded();
  }

  #log(event: string, data: Readonly<Record<string, unknown>>, topic?: string): void {
    this.log.append(event, { job: this.id, ...data }, topic);
  }
}
