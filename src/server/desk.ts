/**
 * What all routes of one server share.
 *
 * @module
 */

import type { NamedPlan } from "../engine/bundled_plans.ts";
import type { Renderer } from "../worker/renderer.ts";
import { type BodySchemas, bodySchemas, type RequestLimits, type ResponseFormat } from "./api.ts";
import { type Catalog, makeCatalog } from "./catalog.ts";
import type { DrawingDefaults } from "./drawing.ts";
import type { Job } from "./job.ts";
import type { BodyBounds } from "./read_body.ts";
import { refusalOf, RequestError } from "./request_error.ts";
import { Shelf } from "./shelf.ts";
import type { Studio } from "./studio.ts";

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
  /** Finished jobs, and pictures behind URLs, that are kept. */
  readonly kept: number;
  /** Seconds that they are kept. */
  readonly keptSeconds: number;
}

/** Models as they load. */
type Loading =
  | { readonly kind: "loading" }
  | { readonly kind: "ready"; readonly catalog: Catalog }
  | { readonly kind: "failed"; readonly error: unknown };

/** How a desk is set up. */
export interface DeskOptions {
  /** Draws. */
  readonly studio: Studio;
  /** Bounds. */
  readonly limits: ServerLimits;
  /** What may be followed. */
  readonly plans: readonly NamedPlan[];
  /** `auto`, `none` or a plan's id. */
  readonly defaultPlan: string;
  /** How pictures are answered. */
  readonly responseFormats: readonly ResponseFormat[];
  /** Where clients reach the server, if not where it thinks. */
  readonly publicUrl: string | undefined;
}

/** The shared state. */
export class Desk {
  /** Draws. */
  readonly studio: Studio;
  /** Bounds. */
  readonly limits: ServerLimits;
  /** Schemas of bodies. */
  readonly schemas: BodySchemas;
  /** What requests may leave out. */
  readonly defaults: DrawingDefaults;
  /** Pictures behind URLs. */
  readonly images: Shelf<KeptImage>;
  readonly #options: DeskOptions;
  readonly #open = new Map<string, Job>();
  readonly #finished: Shelf<Job>;
  #loading: Loading = { kind: "loading" };

  /** Makes a desk whose models are still to come. */
  constructor(options: DeskOptions) {
    const { studio, limits, defaultPlan } = options;
    this.#options = options;
    this.studio = studio;
    this.limits = limits;
    this.schemas = bodySchemas(limits, options.responseFormats);
    this.defaults = { plan: defaultPlan, maxSteps: limits.steps };
    this.images = new Shelf({ most: limits.kept, seconds: limits.keptSeconds });
    this.#finished = new Shelf({ most: limits.kept, seconds: limits.keptSeconds });
  }

  /** Waits for the models; a failure is told to those who ask. */
  async load(renderers: Promise<readonly Renderer[]>): Promise<void> {
    try {
      const opened = await renderers;
      const catalog = makeCatalog(opened.map(({ facts }) => facts), this.#options.plans);
      this.#loading = { kind: "ready", catalog };
      this.studio.add(opened);
    } catch (error) {
      this.#loading = { kind: "failed", error };
    }
  }

  /** Whether jobs can be drawn, and if not, why. */
  get readiness(): { readonly ready: boolean; readonly state: string } {
    if (this.studio.draining) return { ready: false, state: "draining" };
    if (this.#loading.kind !== "ready") return { ready: false, state: this.#loading.kind };
    const works = this.studio.renderers.length > 0;
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
    throw new RequestError(`Cannot answer: the model must be loaded${why}`, {
      status: 503,
      code: failed ? "model_failed" : "model_loading",
      headers: { "retry-after": "2" },
    });
  }

  /** How pictures are answered. */
  get responseFormats(): readonly ResponseFormat[] {
    return this.#options.responseFormats;
  }

  /** Plans, which are there before any model. */
  get plans(): readonly NamedPlan[] {
    return this.#options.plans;
  }

  /** Keeps a job so that it can be asked about. */
  keep(job: Job): void {
    this.#open.set(job.id, job);
    void job.ended.then(() => {
      this.#open.delete(job.id);
      this.#finished.put(job.id, job);
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
    throw new RequestError("Cannot find job: it must have been made here, and not long ago", {
      status: 404,
      code: "job_not_found",
    });
  }

  /** Keeps a picture for a while and says where. */
  publish(image: KeptImage, { extension, origin }: {
    readonly extension: string;
    readonly origin: string;
  }): string {
    const name = `${crypto.randomUUID()}.${extension}`;
    this.images.put(name, image);
    return new URL(`/v1/images/${name}`, this.#options.publicUrl ?? origin).href;
  }
}
