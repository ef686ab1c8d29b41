/**
 * The HTTP service: a Hono app over renderers, with nothing global.
 *
 * @module
 */

import { type Context, Hono, type MiddlewareHandler } from "hono";
import { cors } from "hono/cors";
import { HTTPException } from "hono/http-exception";
import { requestId } from "hono/request-id";
import { secureHeaders } from "hono/secure-headers";
import { bundledPlans, loadPlan, type NamedPlan } from "../engine/bundled_plans.ts";
import type { Renderer } from "../worker/renderer.ts";
import { limitRate, type RateLimit, requireKey } from "./access.ts";
import { RESPONSE_FORMATS } from "./api.ts";
import { catalogRoutes, type ServerFeatures } from "./catalog_routes.ts";
import { Desk, type ServerLimits } from "./desk.ts";
import { imageRoutes, keptImageRoutes } from "./image_routes.ts";
import { jobRoutes } from "./job_routes.ts";
import { type AccessEntry, Observer } from "./observe.ts";
import type { PageAssets } from "./page_assets.ts";
import { pageRoutes } from "./page_routes.ts";
import { openApiDocument, routeName, ROUTES } from "./openapi.ts";
import { refusalOf, RequestError } from "./request_error.ts";
import { VERSION } from "../version.ts";
import { Studio } from "./studio.ts";

/** What a server serves, and within which bounds. */
export interface AppOptions {
  /** What draws; several of one model share its requests. While they open, the server answers 503. */
  readonly renderers: readonly Renderer[] | Promise<readonly Renderer[]>;
  /** Makes a renderer anew whose device or worker failed. */
  readonly reopen?: (failed: Renderer) => Promise<Renderer>;
  /** Cache plans; the bundled ones unless given. */
  readonly plans?: readonly NamedPlan[];
  /** Plan of requests that name none: `auto` (unless given), `none` or a plan's id. */
  readonly defaultPlan?: string;
  /**
   * Whether the server remembers jobs, and pictures behind URLs, from one request to the next. It does
   * unless told otherwise, as where it is one of many (edge isolates).
   */
  readonly jobs?: boolean;
  /** Keys that clients must show; without any, everyone may ask. */
  readonly apiKeys?: readonly string[];
  /** How often each key may ask. */
  readonly rateLimit?: RateLimit;
  /** Origins whose pages may ask; none but our own unless given. */
  readonly corsOrigins?: readonly string[];
  /** Bounds; each has a default. */
  readonly limits?: Partial<ServerLimits>;
  /** What the page needs for drawing in the browser; without it the page draws on the server only. */
  readonly page?: PageAssets;
  /** Where clients reach the server, if not where it thinks. */
  readonly publicUrl?: string;
  /** Hears of each request. */
  readonly log?: (entry: AccessEntry) => void;
  /** Hears of each error that is ours, with the request's id; that a route is not here is none. */
  readonly onError?: (error: unknown, id: string) => void;
}

/** A Hono app that can be shut down. */
export interface App extends Hono {
  /** Resolves when models are loaded or could not be. */
  readonly loaded: Promise<void>;
  /** Refuses new work and waits for what was begun; a signal cancels that. Renderers are the caller's to close. */
  drain(signal?: AbortSignal): Promise<void>;
}

/** Bounds unless told otherwise. */
export const DEFAULT_LIMITS: ServerLimits = {
  steps: 250,
  n: 10,
  queue: 32,
  batch: 8,
  body: { bytes: 64 * 1024, seconds: 10 },
  deadlineSeconds: 600,
  kept: 200,
  keptSeconds: 600,
};

/**
 * Makes a server.
 *
 * ```ts ignore
 * const app = createApp({ renderers: [await openRemoteRenderer()] });
 * Deno.serve(app.fetch);
 * ```
 */
export function createApp(options: AppOptions): App {
  const observer = new Observer();
  const desk = openDesk(options, observer);
  const loaded = desk.load(Promise.resolve(options.renderers));
  const app = new Hono();
  app.use(requestId(), observer.requests(options.log), secureHeaders());
  if (options.corsOrigins !== undefined) app.use(cors({ origin: [...options.corsOrigins] }));
  app.onError((error, context) => answerError(error, context, options.onError));
  app.notFound((context) => answerError(notFound(context), context, options.onError));
  app.route("/", healthRoutes(desk));
  app.route("/", pageRoutes(options.page));
  app.route("/", keptImageRoutes(desk));
  for (const guard of guards(options)) app.use(guard);
  app.route("/", imageRoutes(desk));
  const described = describe(options, desk);
  app.route("/", catalogRoutes(desk, described.features));
  app.route("/", options.jobs ?? true ? jobRoutes(desk) : refusedJobRoutes());
  app.get("/metrics", async (context) => context.text(await observer.registry.expose()));
  app.get("/openapi.json", (context) => context.json(described.document));
  const { studio } = desk;
  return Object.assign(app, { loaded, drain: (signal?: AbortSignal) => studio.drain(signal) });
}

function openDesk(options: AppOptions, observer: Observer): Desk {
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const studio = new Studio({
    queueLimit: limits.queue,
    maxBatch: limits.batch,
    deadlineSeconds: limits.deadlineSeconds,
    reopen: options.reopen,
    onStep: (step, drawing) => observer.hearStep(step, drawing),
    onEnd: (job) => observer.hearEnd(job),
  });
  observer.watch(studio);
  const { defaultPlan = "auto", publicUrl } = options;
  const plans = options.plans ?? bundledPlans.map((name) => ({ name, plan: loadPlan(name) }));
  const responseFormats = options.jobs === false
    ? RESPONSE_FORMATS.filter((format) => format !== "url")
    : RESPONSE_FORMATS;
  return new Desk({ studio, limits, plans, defaultPlan, responseFormats, publicUrl });
}

/** What the server says of its routes. */
function describe(
  { jobs = true, apiKeys = [] }: AppOptions,
  { schemas }: Desk,
): { readonly features: ServerFeatures; readonly document: Readonly<Record<string, unknown>> } {
  const routes = ROUTES.filter(({ tag }) => jobs || tag !== "jobs");
  const bearer = apiKeys.length > 0;
  return {
    features: {
      routes: routes.map(routeName),
      auth: bearer ? "bearer" : "none",
      version: VERSION,
    },
    document: openApiDocument(routes, { schemas, version: VERSION, bearer }),
  };
}

function healthRoutes(desk: Desk): Hono {
  return new Hono()
    .get("/healthz", (context) => context.json({ status: "ok" }))
    .get("/readyz", (context) => {
      const { ready, state } = desk.readiness;
      return context.json({ status: state }, ready ? 200 : 503);
    });
}

function refusedJobRoutes(): Hono {
  return new Hono().all("/v1/jobs", refuseJobs).all("/v1/jobs/*", refuseJobs);
}

function guards({ apiKeys = [], rateLimit }: AppOptions): MiddlewareHandler[] {
  return [
    ...(apiKeys.length > 0 ? [requireKey(apiKeys)] : []),
    ...(rateLimit !== undefined ? [limitRate(rateLimit)] : []),
  ];
}

function answerError(
  error: unknown,
  context: Context,
  onError: AppOptions["onError"],
): Response {
  const known = error instanceof HTTPException
    ? new RequestError(error.message || "Cannot answer", { status: error.status })
    : error;
  const { status, body, headers } = refusalOf(known);
  if (status >= 500 && status !== 501) onError?.(error, context.get("requestId"));
  return context.body(JSON.stringify(body), status as 500, { // Hono wants a literal
    "content-type": "application/json",
    ...headers,
  });
}

function notFound({ req: { method, path } }: Context): RequestError {
  return new RequestError(`Cannot answer ${method} ${path.slice(0, 200)}: there is no such route`, {
    status: 404,
    code: "not_found",
  });
}

function refuseJobs(): never {
  throw new RequestError(
    "Cannot take jobs: this server is one of many without a common memory; ask /v1/images/generations",
    { status: 501, code: "not_implemented" },
  );
}
