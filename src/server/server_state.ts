/**
 * What all routes of one server share.
 */

import { bundledPlans, loadPlan } from "../engine/bundled_plans.ts";
import { type BodySchemas, bodySchemas, RESPONSE_FORMATS, type ResponseFormat } from "./api.ts";
import { type AppOptions, DEFAULT_LIMITS, type ServerLimits } from "./app_options.ts";
import { BatchQueue } from "./batch_queue.ts";
import { type Catalog, makeCatalog } from "./catalog.ts";
import type { SpecDefaults } from "./job_spec.ts";
import type { Job } from "./job.ts";
import { type JobFilter, type JobPage, JobStore } from "./job_store.ts";
import { refusalOf, RequestError } from "./request_error.ts";
import type { RendererFacts } from "../worker/renderer.ts";
import type { ServerMetrics } from "./server_metrics.ts";
import { ExpiringMap } from "./expiring_map.ts";

/** A picture that a URL leads to. */
export interface KeptImage {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly type: string;
}

/** Models as they load. */
type Loading =
  | { readonly kind: "loading" }
  | { readonly kind: "ready"; readonly catalog: Catalog }
  | { readonly kind: "failed"; readonly error: unknown };

export class ServerState {
  readonly queue: BatchQueue;
  readonly limits: ServerLimits;
  readonly schemas: BodySchemas;
  /** What requests may leave out. */
  readonly defaults: SpecDefaults;
  /** Pictures that were answered as URLs, by file name. */
  readonly images: ExpiringMap<KeptImage>;
  /** Path under which clients reach the server, without a slash at the end; empty at the root. */
  readonly base: string;
  readonly responseFormats: readonly ResponseFormat[];
  readonly #publicUrl: string | undefined;
  readonly #jobs: JobStore;
  #loading: Loading = { kind: "loading" };

  /** Makes the state of a server that still loads its models. */
  constructor(options: AppOptions, metrics: ServerMetrics) {
    const { reopen, jobs = true, defaultPlan = "auto", publicUrl } = options;
    const limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.queue = new BatchQueue({
      queueLimit: limits.queue,
      maxBatch: limits.batch,
      deadlineSeconds: limits.deadlineSeconds,
      reopen,
      onStep: (step, spec) => metrics.countStep(step, spec),
      onEnd: (job) => metrics.countJob(job),
    });
    this.limits = limits;
    this.base = new URL(publicUrl ?? "http://localhost").pathname.replace(/\/+$/, "");
    this.#publicUrl = publicUrl;
    this.responseFormats = RESPONSE_FORMATS.filter((format) => jobs || format !== "url");
    this.schemas = bodySchemas(limits, this.responseFormats);
    this.defaults = { plan: defaultPlan, maxSteps: limits.steps };
    this.images = new ExpiringMap({ most: limits.kept, seconds: limits.keptSeconds });
    this.#jobs = new JobStore({ most: limits.kept, seconds: limits.keptSeconds });
  }

  /** Waits for the models; if they fail, requests are answered with the reason. */
  async load({ renderers, plans }: AppOptions): Promise<void> {
    try {
      const opened = await renderers;
      const named = plans ?? bundledPlans.map((name) => ({ name, plan: loadPlan(name) }));
      const { steps } = this.limits;
      const catalog = makeCatalog(
        opened.map(({ facts }) => withinSteps(facts, steps)),
        named.filter(({ plan }) => plan.sampler.times.length <= steps),
      );
      this.#loading = { kind: "ready", catalog };
      this.queue.add(opened);
    } catch (error) {
      this.#loading = { kind: "failed", error };
    }
  }

  /** Whether jobs can run: `ready`, or why not. */
  get status(): "ready" | "loading" | "failed" | "draining" {
    if (this.queue.draining) return "draining";
    const { kind } = this.#loading;
    return kind === "ready" && this.queue.renderers.length === 0 ? "failed" : kind;
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

  /** Keeps a job so that clients can ask about it; `owner` is the key that it came with. */
  keep(job: Job, owner: string): void {
    this.#jobs.keep(job, owner);
  }

  /**
   * A job by its id.
   *
   * @throws {RequestError} 404 when there is none, or it ended too long ago.
   */
  job(id: string): Job {
    const job = this.#jobs.get(id);
    if (job !== undefined) return job;
    const seconds = this.limits.keptSeconds;
    throw new RequestError(`No such job here; finished jobs are kept for ${seconds} s`, {
      status: 404,
      code: "job_not_found",
    });
  }

  /** Jobs of an owner, newest first. */
  listJobs(filter: JobFilter): JobPage {
    return this.#jobs.list(filter);
  }

  /** Keeps a picture for a while and returns its URL. */
  publish(image: KeptImage, { extension, origin }: {
    readonly extension: string;
    readonly origin: string;
  }): string {
    const name = `${crypto.randomUUID()}.${extension}`;
    this.images.set(name, image);
    return new URL(`${this.base}/v1/images/${name}`, this.#publicUrl ?? origin).href;
  }
}

/** What a request gets that asks for no steps is never refused for its steps. */
function withinSteps(facts: RendererFacts, most: number): RendererFacts {
  return { ...facts, sampler: { ...facts.sampler, steps: Math.min(facts.sampler.steps, most) } };
}
