/**
 * What all routes of one server share.
 *
 * @module
 */

import type { NamedPlan } from "../engine/bundled_plans.ts";
import type { Renderer } from "../worker/renderer.ts";
import { type BodySchemas, bodySchemas, type RequestLimits, type ResponseFormat } from "./api.ts";
import { type Catalog, makeCatalog } from "./catalog.ts";
import type { SpecDefaults } from "./job_spec.ts";
import type { Job } from "./job.ts";
import type { BodyBounds } from "./read_body.ts";
import { refusalOf, RequestError } from "./request_error.ts";
import { ExpiringMap } from "./expiring_map.ts";
import type { BatchQueue } from "./batch_queue.ts";

/** A picture that a URL leads to. */
export interface KeptImage {
  /** The file. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Its media type. */
  readonly type: string;
}

/** Bounds of a server. */
export interface ServerLimits extends RequestLimits {
  /** Jobs that may wait. */
  readonly queue: number;
  /** Pictures of a batch of several jobs. */
  readonly batch: number;
  /** A request's body. */
  readonly body: BodyBounds;
  /** Seconds from request to pictures. */
  readonly deadlineSeconds: number;
  /** Most finished jobs, and most pictures answered as URLs, that are kept. */
  readonly kept: number;
  /** Seconds that they are kept. */
  readonly keptSeconds: number;
}

/** Models as they load. */
type Loading =
  | { readonly kind: "loading" }
  | { readonly kind: "ready"; readonly catalog: Catalog }
  | { readonly kind: "failed"; readonly error: unknown };

/** What the state is made of. */
export interface ServerStateOptions {
  /** Draws. */
  readonly queue: BatchQueue;
  /** Bounds. */
  readonly limits: ServerLimits;
  /** Cache plans. */
  readonly plans: readonly NamedPlan[];
  /** `auto`, `none` or a plan's id. */
  readonly defaultPlan: string;
  /** How pictures are answered. */
  readonly responseFormats: readonly ResponseFormat[];
  /** URL at which clients reach the server; that of each request unless given. */
  readonly publicUrl: string | undefined;
}

/** The shared state. */
export class ServerState {
  /** Draws. */
  readonly queue: BatchQueue;
  /** Bounds. */
  readonly limits: ServerLimits;
  /** Schemas of bodies. */
  readonly schemas: BodySchemas;
  /** What requests may leave out. */
  readonly defaults: SpecDefaults;
  /** Pictures that were answered as URLs, by file name. */
  readonly images: ExpiringMap<KeptImage>;
  /** Path under which clients reach the server, without a slash at the end; empty at the root. */
  readonly base: string;
  readonly #options: ServerStateOptions;
  readonly #open = new Map<string, Job>();
  readonly #finished: ExpiringMap<Job>;
  #loading: Loading = { kind: "loading" };

  /** Makes the state of a server that still loads its models. */
  constructor(options: ServerStateOptions) {
    const { queue, limits, defaultPlan } = options;
    this.#options = options;
    this.queue = queue;
    this.limits = limits;
    this.base = new URL(options.publicUrl ?? "http://localhost").pathname.replace(/\/+$/, "");
    this.schemas = bodySchemas(limits, options.responseFormats);
    this.defaults = { plan: defaultPlan, maxSteps: limits.steps };
    this.images = new ExpiringMap({ most: limits.kept, seconds: limits.keptSeconds });
    this.#finished = new ExpiringMap({ most: limits.kept, seconds: limits.keptSeconds });
  }

  /** Waits for the models; if they fail, requests are answered with the reason. */
  async load(renderers: Promise<readonly Renderer[]>): Promise<void> {
    try {
      const opened = await renderers;
      const catalog = makeCatalog(opened.map(({ facts }) => facts), this.#options.plans);
      this.#loading = { kind: "ready", catalog };
      this.queue.add(opened);
    } catch (error) {
      this.#loading = { kind: "failed", error };
    }
  }

  /** Whether jobs can run, and if not, why. */
  get readiness(): { readonly ready: boolean; readonly state: string } {
    if (this.queue.draining) return { ready: false, state: "draining" };
    if (this.#loading.kind !== "ready") return { ready: false, state: this.#loading.kind };
    const works = this.queue.renderers.length > 0;
    return { ready: works, state: works ? "ready" : "failed" };
  }

  /**
   * Models and plans.
   *
   * @throws {RequestError} 503 while they load or when they could not be loaded.
   */
  get catalog(): Catalog {
    const loading = this.#loading;
    if (loading.kind === "ready") return loading.catalog;
    const failed = loading.kind === "failed";
    const why = failed ? `: ${refusalOf(loading.error).body.error.message}` : "";
    throw new RequestError(
      failed
        ? `Cannot generate: the model could not be loaded${why}`
        : "The model is still loading",
      {
        status: 503,
        code: failed ? "model_failed" : "model_loading",
        headers: { "retry-after": "2" },
        ...(failed && { cause: loading.error }),
      },
    );
  }

  /** How pictures are answered. */
  get responseFormats(): readonly ResponseFormat[] {
    return this.#options.responseFormats;
  }

  /** Plans, known before any model is loaded. */
  get plans(): readonly NamedPlan[] {
    return this.#options.plans;
  }

  /** Keeps a job so that clients can ask about it. */
  keep(job: Job): void {
    this.#open.set(job.id, job);
    void job.ended.then(() => {
      this.#open.delete(job.id);
      this.#finished.set(job.id, job);
    });
  }

  /**
   * A job by its id.
   *
   * @throws {RequestError} 404 when there is none, or it ended too long ago.
   */
  job(id: string): Job {
    const job = this.#open.get(id) ?? this.#finished.get(id);
    if (job !== undefined) return job;
    throw new RequestError(
      `No such job here; finished jobs are kept for ${this.limits.keptSeconds} s`,
      {
        status: 404,
        code: "job_not_found",
      },
    );
  }

  /** Keeps a picture for a while and returns its URL. */
  publish(image: KeptImage, { extension, origin }: {
    readonly extension: string;
    readonly origin: string;
  }): string {
    const name = `${crypto.randomUUID()}.${extension}`;
    this.images.set(name, image);
    return new URL(`${this.base}/v1/images/${name}`, this.#options.publicUrl ?? origin).href;
  }
}
