/**
 * The HTTP service: a Hono app over renderers, with nothing global.
 */

import { type Context, Hono, type MiddlewareHandler } from "npm:hono@4.13.19";
import { cors } from "npm:hono@4.13.19/cors";
import { HTTPException } from "npm:hono@4.13.19/http-exception";
import { requestId } from "npm:hono@4.13.19/request-id";
import { secureHeaders } from "npm:hono@4.13.19/secure-headers";
import { expectHost, limitRate, requireKey } from "./access.ts";
import type { AppOptions } from "./app_options.ts";
import { catalogRoutes, type ServerFeatures } from "./catalog_routes.ts";
import { ServerState } from "./server_state.ts";
import { METRICS_TYPE } from "./metric_registry.ts";
import { imageRoutes, keptImageRoutes } from "./image_routes.ts";
import { jobRoutes } from "./job_routes.ts";
import { ServerMetrics } from "./server_metrics.ts";
import { pageRoutes } from "./page_routes.ts";
import { type OpenApiDocument, openApiDocument } from "./openapi.ts";
import { isJobRoute, routeName, ROUTES } from "./route_table.ts";
import { refusalOf, RequestError } from "./request_error.ts";
import { allowedMethods, routePath, sizeHead } from "./routing.ts";
import { traced } from "./trace.ts";
import { VERSION } from "../version.ts";

/** A Hono app that can be shut down. */
export interface App extends Hono {
  /** Resolves when models are loaded or could not be. */
  readonly loaded: Promise<void>;
  /** Refuses new work and waits for what was begun; a signal cancels that. Renderers are the caller's to close. */
  drain(signal?: AbortSignal): Promise<void>;
}

/**
 * A server that speaks plain HTTP must not ask browsers for HTTPS; a proxy that terminates TLS may. Routes may say
 * otherwise of their answers.
 */
const SECURITY = { strictTransportSecurity: false, overwrite: false };
/** Headers of answers that scripts of other origins may read. */
const EXPOSED = "location retry-after x-request-id traceparent x-latent-shape etag".split(" ");

/**
 * Makes a server.
 *
 * ```ts ignore
 * const app = createApp({ renderers: [await openRemoteRenderer()] });
 * Deno.serve(app.fetch);
 * ```
 */
export function createApp(options: AppOptions): App {
  const metrics = new ServerMetrics();
  const server = new ServerState(options, metrics);
  metrics.watch(server.queue, () => server.jobs.waiting());
  const loaded = server.load(options);
  const app = new Hono({ getPath: routePath });
  const { corsOrigins, frameOrigins = [], hosts, jobs = true, takesRequests = true } = options;
  const secure = secureHeaders({ ...SECURITY, xFrameOptions: frameOrigins.length === 0 });
  app.use(requestId(), traced(), metrics.requests(options.log), secure, sizeHead());
  if (hosts !== undefined) app.use(expectHost(hosts));
  if (corsOrigins !== undefined) {
    app.use(cors({ origin: [...corsOrigins], exposeHeaders: EXPOSED }));
  }
  app.onError((error, context) => answerError(error, context, options.onError));
  app.notFound((context) => answerError(notFound(context, app), context, options.onError));
  app.route("/", healthRoutes(server));
  const { features, document } = describe(options, server);
  if (takesRequests) {
    app.route("/", pageRoutes({ assets: options.page, frameOrigins, keeps: jobs, document }));
    app.route("/", keptImageRoutes(server));
    app.get("/openapi.json", (context) => context.json(document)); // says what the package's source says
  }
  for (const guard of guards(options, server)) app.use(guard);
  if (takesRequests) {
    app.route("/", imageRoutes(server));
    app.route("/", catalogRoutes(server, features));
    app.route("/", jobs ? jobRoutes(server) : refusedJobRoutes());
  }
  app.get("/metrics", async (context) => {
    return context.body(await metrics.registry.expose(), 200, { "content-type": METRICS_TYPE });
  });
  return Object.assign(app, { loaded, drain: (signal?: AbortSignal) => server.drain(signal) });
}

/** What the server says of its routes. */
function describe(
  { jobs = true, apiKeys = [], publicUrl }: AppOptions,
  { schemas }: ServerState,
): { readonly features: ServerFeatures; readonly document: OpenApiDocument } {
  const routes = ROUTES.filter((route) => jobs || !isJobRoute(route));
  const bearer = apiKeys.length > 0;
  return {
    features: {
      routes: routes.map(routeName),
      auth: bearer ? "bearer" : "none",
      version: VERSION,
    },
    document: openApiDocument(routes, { schemas, version: VERSION, bearer, publicUrl }),
  };
}

function healthRoutes(server: ServerState): Hono {
  return new Hono()
    .get("/healthz", (context) => context.json({ status: "ok" }))
    .get("/readyz", async (context) => {
      const status = await server.status();
      return context.json({ status }, status === "ready" ? 200 : 503);
    });
}

function refusedJobRoutes(): Hono {
  return new Hono().all("/v1/jobs", refuseJobs).all("/v1/jobs/*", refuseJobs);
}

function guards(
  { apiKeys = [], rateLimit }: AppOptions,
  { rates }: ServerState,
): MiddlewareHandler[] {
  return [
    ...(apiKeys.length > 0 ? [requireKey(apiKeys)] : []),
    ...(rateLimit !== undefined
      ? [limitRate(rateLimit, { keyed: apiKeys.length > 0, rates })]
      : []),
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
  const fault = known instanceof RequestError ? known.cause : known; // a refusal is no fault of the server
  if (status >= 500 && fault !== undefined) onError?.(fault, context.get("requestId"));
  return context.body(JSON.stringify(body), status as 500, { // Hono wants a literal
    "content-type": "application/json",
    ...headers,
  });
}

function notFound({ req: { method, path } }: Context, app: Hono): RequestError {
  const allow = allowedMethods(app, path).join(", ");
  const thing = `Cannot answer ${method} ${path.slice(0, 200)}`;
  if (allow === "") {
    return new RequestError(`${thing}: there is no such route`, { status: 404, code: "not_found" });
  }
  return new RequestError(`${thing}: its methods are ${allow}`, {
    status: 405,
    code: "method_not_allowed",
    headers: { allow },
  });
}

function refuseJobs(): never {
  throw new RequestError(
    "Cannot take jobs: this server is one of many without a common memory; ask /v1/images/generations",
    { status: 501, code: "not_implemented" },
  );
}
