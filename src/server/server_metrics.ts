/**
 * Metrics of a server for Prometheus, and an access log.
 */

import type { MiddlewareHandler } from "npm:hono@4.13.19";
import { runtimeName } from "../backend/platform.ts";
import { VERSION } from "../version.ts";
import { frontOf } from "../engine/policies/signals.ts";
import type { RendererCounts, RenderStep } from "../worker/renderer.ts";
import type { JobSpec } from "./job_spec.ts";
import type { Job } from "./job.ts";
import type { Loss } from "./job_queue.ts";
import type { AccessEntry } from "./log_entries.ts";
import { MetricRegistry } from "./metric_registry.ts";
import type { BatchQueue } from "./batch_queue.ts";
import { spanOf, traceIdOf } from "./trace.ts";

/** Upper bounds in seconds. */
const SECONDS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300] as const;
/** The same for what should take milliseconds, as steps of small models and most requests do. */
const FINE_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, ...SECONDS] as const;
/** Digits of a key's digest that tell keys apart, and tell nothing of them. */
const KEY_DIGITS = 8;
/** Methods that routes have; a client may make up any other. */
const METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "DELETE", "OPTIONS"]);

export class ServerMetrics {
  readonly registry: MetricRegistry = new MetricRegistry();
  readonly #requests = this.registry.counter(
    "invardiff_http_requests_total",
    "Requests by route and status",
  );
  readonly #latency = this.registry.histogram(
    "invardiff_http_request_duration_seconds",
    "From request to the head of its answer, by route",
    FINE_SECONDS,
  );
  readonly #jobs = this.registry.counter("invardiff_jobs_total", "Jobs by how they ended");
  readonly #pictures = this.registry.counter("invardiff_pictures_total", "Pictures completed");
  readonly #steps = this.registry.counter("invardiff_steps_total", "Sampling steps by kind");
  readonly #modules = this.registry.counter(
    "invardiff_modules_total",
    "Modules that were run or reused",
  );
  readonly #wait = this.registry.histogram(
    "invardiff_job_wait_seconds",
    "From request to first step",
    SECONDS,
  );
  readonly #duration = this.registry.histogram(
    "invardiff_job_duration_seconds",
    "From request to pictures",
    SECONDS,
  );
  readonly #step = this.registry.histogram(
    "invardiff_step_duration_seconds",
    "Sampling steps of whole batches, by kind",
    FINE_SECONDS,
  );
  readonly #leases = this.registry.counter(
    "invardiff_lost_leases_total",
    "Jobs that this process lost to others while it drew them",
  );
  readonly #retries = this.registry.counter(
    "invardiff_job_retries_total",
    "Jobs that this process began again, their worker lost",
  );
  #keptBytes = 0;

  /** Reads the counts of renderers, and of jobs that wait, whenever metrics are requested. */
  watch(queue: BatchQueue, waiting: () => Promise<ReadonlyMap<string, number>>): void {
    const { registry } = this;
    const build = { version: VERSION, runtime: runtimeName() };
    registry.gauge("invardiff_build_info", "Always 1", () => 1, build);
    const depths = (): Promise<ReadonlyMap<string, number>> =>
      waiting().catch(() => new Map([["", NaN]])); // the queue does not answer
    registry.gauge("invardiff_queue_depth", "Jobs that wait", async () => {
      return [...(await depths()).values()].reduce((sum, jobs) => sum + jobs, 0);
    });
    registry.gauges("invardiff_key_queue_depth", "Jobs that wait, by digests of keys", async () => {
      return [...await depths()].map((
        [asker, jobs],
      ) => [{ key: asker.slice(0, KEY_DIGITS) }, jobs]);
    });
    registry.gauge("invardiff_jobs_running", "Jobs that run", () => queue.running);
    registry.gauge("invardiff_renderers", "Renderers that work", () => queue.renderers.length);
    registry.gauge(
      "invardiff_live_feature_bytes",
      "Bytes of features kept between steps",
      () => queue.running === 0 ? 0 : this.#keptBytes,
    );
    const total = async (count: keyof RendererCounts): Promise<number> => {
      const counts = await Promise.all(queue.renderers.map((renderer) => renderer.counts()));
      return counts.reduce((sum, each) => sum + each[count], 0);
    };
    registry.gauge("invardiff_live_device_values", "Tensors on devices", () => total("values"));
    registry.gauge("invardiff_live_sessions", "Loaded graphs", () => total("sessions"));
    const memory = globalThis.process?.memoryUsage;
    if (memory === undefined) return; // on edge workers
    registry.gauge("process_resident_memory_bytes", "Resident memory", () => memory().rss); // as all programs name it
  }

  /** Counts what a worker of a shared queue lost, or took over. */
  countLoss(loss: Loss): void {
    (loss === "lease" ? this.#leases : this.#retries).add();
  }

  /** Counts a step of a batch. */
  countStep(done: RenderStep, spec: JobSpec): void {
    const { kind, keptBytes, seconds } = done;
    this.#keptBytes = keptBytes;
    this.#steps.add({ kind });
    this.#step.observe(seconds, { kind });
    const run = modulesRun(done, spec);
    const all = spec.model.facts.modules.length;
    this.#modules.add({ action: "run" }, run);
    this.#modules.add({ action: "reused" }, all - run);
  }

  /** Counts a job that has ended. */
  countJob({ state, times: { created, started, finished }, result }: Job): void {
    this.#jobs.add({ state });
    if (started !== undefined) this.#wait.observe((started - created) / 1000);
    if (result === undefined) return;
    this.#pictures.add({}, result.images.length);
    this.#duration.observe(((finished ?? created) - created) / 1000);
  }

  /** Counts requests, and tells each to a log. */
  requests(log: ((entry: AccessEntry) => void) | undefined): MiddlewareHandler {
    return async (context, next) => {
      const started = performance.now();
      const time = new Date().toISOString();
      await next();
      const { method: given, path, routePath: route } = context.req;
      const { status } = context.res;
      const seconds = (performance.now() - started) / 1000;
      const method = METHODS.has(given) ? given : "other";
      this.#requests.add({ method, route, status: `${status}` });
      this.#latency.observe(seconds, { method, route });
      const ms = Math.round(seconds * 1000);
      const trace = traceIdOf(spanOf(context));
      const id = context.get("requestId");
      log?.({ event: "request", time, id, trace, method: given, path, status, ms });
    };
  }
}

/** How many modules a step ran: by its plan, or by what a policy decided, the mean of all pictures. */
function modulesRun({ kinds, index }: RenderStep, { program, model }: JobSpec): number {
  const step = program[index]!; // as many as the renderer runs
  const actions = "actions" in step ? step.actions : [];
  const planned = actions.filter((action) => action.kind === "run").length;
  if (kinds === undefined) return planned;
  const modules = model.facts.modules.map((name) => ({ name }));
  const front = frontOf("first-block", { modules });
  const runs = kinds.map((each) => each === "full" ? planned : each === "mixed" ? front : 0);
  return runs.reduce((sum, count) => sum + count, 0) / kinds.length;
}
