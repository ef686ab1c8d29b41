/**
 * What all routes of one server share.
 */

import { bundledPlans, loadPlan, type NamedPlan } from "../engine/bundled_plans.ts";
import type { CompiledDecoders } from "../image/lossy_decoders.ts";
import { type BodySchemas, bodySchemas, RESPONSE_FORMATS, type ResponseFormat } from "./api.ts";
import { type AppOptions, limitsOf, type ServerLimits } from "./app_options.ts";
import { BatchQueue } from "./batch_queue.ts";
import { type Catalog, makeCatalog } from "./catalog.ts";
import type { SpecDefaults } from "./job_spec.ts";
import {
  type JobQueue,
  joinQueue,
  type KeptImage,
  type Loss,
  type QueuedJob,
  type SharedQueue,
} from "./job_queue.ts";
import { LocalQueue } from "./local_queue.ts";
import { jobEntry } from "./log_entries.ts";
import { LocalRates, type Rates } from "./rates.ts";
import { refusalOf, RequestError } from "./request_error.ts";
import type { RendererFacts } from "../worker/renderer.ts";
import type { ServerMetrics } from "./server_metrics.ts";

/** How often a server that shares its queue looks which models workers have, in milliseconds. */
const LOOK_MS = 2000;

/** Models as they load. */
type Loading =
  | { readonly kind: "loading" }
  | { readonly kind: "ready"; readonly catalog: Catalog }
  | { readonly kind: "failed"; readonly error: unknown };

export class ServerState {
  /** Draws, with the renderers of this process. */
  readonly queue: BatchQueue;
  /** Where jobs wait, and are asked about. */
  readonly jobs: JobQueue;
  /** Where requests of each key are counted. */
  readonly rates: Rates;
  readonly limits: ServerLimits;
  readonly schemas: BodySchemas;
  /** What requests may leave out. */
  readonly defaults: SpecDefaults;
  readonly decoders: CompiledDecoders | undefined;
  /** Path under which clients reach the server, without a slash at the end; empty at the root. */
  readonly base: string;
  readonly responseFormats: readonly ResponseFormat[];
  readonly #publicUrl: string | undefined;
  readonly #shared: SharedQueue | undefined;
  #loading: Loading = { kind: "loading" };
  #looking: ReturnType<typeof setInterval> | undefined;

  /** Makes the state of a server that still loads its models. */
  constructor(options: AppOptions, metrics: ServerMetrics) {
    const { reopen, jobs = true, defaultPlan = "auto", publicUrl, logJob } = options;
    const limits = limitsOf(options.limits);
    this.queue = new BatchQueue({
      queueLimit: limits.queue,
      maxBatch: limits.batch,
      deadlineSeconds: limits.deadlineSeconds,
      reopen,
      onStep: (step, spec) => metrics.countStep(step, spec),
      onStart: (job) => logJob?.(jobEntry(job)),
      onEnd: (job) => {
        metrics.countJob(job);
        logJob?.(jobEntry(job));
      },
    });
    this.limits = limits;
    this.decoders = options.decoders;
    this.base = new URL(publicUrl ?? "http://localhost").pathname.replace(/\/+$/, "");
    this.#publicUrl = publicUrl;
    this.responseFormats = RESPONSE_FORMATS.filter((format) => jobs || format !== "url");
    this.schemas = bodySchemas(limits, this.responseFormats);
    this.defaults = { plan: defaultPlan, maxSteps: limits.steps };
    const parts = { catalog: () => this.catalog, defaults: this.defaults, limits };
    const onLoss = (loss: Loss): void => metrics.countLoss(loss);
    this.#shared = options.queue && joinQueue(options.queue, { ...parts, onLoss });
    this.rates = this.#shared ?? new LocalRates();
    const kept = { most: limits.kept, seconds: limits.keptSeconds };
    this.jobs = this.#shared ?? new LocalQueue(this.queue, kept, limits.unwatchedSeconds);
  }

  /** Waits for the models; if they fail, requests are answered with the reason. */
  async load({ renderers, plans }: AppOptions): Promise<void> {
    try {
      const opened = await renderers;
      const named = plans ?? bundledPlans.map((name) => ({ name, plan: loadPlan(name) }));
      if (opened.length > 0) this.#offer(opened.map(({ facts }) => facts), named);
      this.queue.add(opened);
      if (this.#shared === undefined) return;
      if (opened.length > 0) await this.#shared.work(this.queue);
      if (this.queue.draining) return; // it was told to end meanwhile
      const look = (): void => void this.#look(opened.map(({ facts }) => facts), named);
      look();
      this.#looking = setInterval(look, LOOK_MS);
    } catch (error) {
      this.#loading = { kind: "failed", error };
    }
  }

  /** Offers the models of this process, and those of other processes that share the queue. */
  async #look(own: readonly RendererFacts[], plans: readonly NamedPlan[]): Promise<void> {
    const others = await this.#shared!.models().catch(() => undefined); // it does not answer: as before
    const known = this.#loading.kind === "ready" ? this.#loading.catalog.models : [];
    const isNew = others?.some(({ id }) => known.every(({ facts }) => facts.id !== id));
    if (isNew) this.#offer([...own, ...others!], plans);
  }

  #offer(models: readonly RendererFacts[], plans: readonly NamedPlan[]): void {
    const { steps } = this.limits;
    const catalog = makeCatalog(
      models.map((facts) => withinSteps(facts, steps)),
      plans.filter(({ plan }) => plan.sampler.times.length <= steps),
    );
    this.#loading = { kind: "ready", catalog };
  }

  /** Refuses new jobs and waits until all that this process draws have ended; a signal hurries it. */
  async drain(signal?: AbortSignal): Promise<void> {
    clearInterval(this.#looking);
    const closing = this.#shared?.close(signal); // at once both refuse what comes now
    await this.queue.drain(signal);
    await closing;
  }

  /** Whether jobs can run: `ready`, or why not. */
  async status(): Promise<"ready" | "loading" | "failed" | "draining"> {
    if (this.queue.draining) return "draining";
    const { kind } = this.#loading;
    if (kind !== "ready") return kind;
    const works = this.#shared?.isReady() ?? this.queue.renderers.length > 0;
    return await works ? "ready" : "failed";
  }

  /**
   * Models and plans.
   *
   * @throws {RequestError} 503 while they load or when they could not be loaded.
   */
  get catalog(): Catalog {
    const loading = this.#loading;
    if (loading.kind === "ready") return loading.catalog;
    const waiting = { status: 503, headers: { "retry-after": "2" } };
    if (loading.kind === "loading") {
      throw new RequestError("The model is still loading", { ...waiting, code: "model_loading" });
    }
    const { message } = refusalOf(loading.error).body.error;
    throw new RequestError(`Cannot generate: the model could not be loaded: ${message}`, {
      ...waiting,
      code: "model_failed",
      cause: loading.error,
    });
  }

  /**
   * A job by its id.
   *
   * @throws {RequestError} 404 when there is none, or it ended too long ago.
   */
  async job(id: string): Promise<QueuedJob> {
    const job = await this.jobs.find(id);
    if (job !== undefined) return job;
    const seconds = this.limits.keptSeconds;
    throw new RequestError(`No such job here; finished jobs are kept for ${seconds} s`, {
      status: 404,
      code: "job_not_found",
    });
  }

  /** Keeps a picture for a while and returns its URL. */
  async publish(image: KeptImage, { extension, origin }: {
    readonly extension: string;
    readonly origin: string;
  }): Promise<string> {
    const name = `${crypto.randomUUID()}.${extension}`;
    await this.jobs.publish(name, image);
    return new URL(`${this.base}/v1/images/${name}`, this.#publicUrl ?? origin).href;
  }
}

/** What a request gets that asks for no steps is never refused for its steps. */
function withinSteps(facts: RendererFacts, most: number): RendererFacts {
  return { ...facts, sampler: { ...facts.sampler, steps: Math.min(facts.sampler.steps, most) } };
}
