/**
 * Jobs: submit, look at, watch, cancel.
 */

import { type Context, Hono } from "npm:hono@4.13.19";
import { bytesOfFloats } from "../tensor/bytes.ts";
import { keyOf } from "./access.ts";
import { JOBS_QUERY, parseBody } from "./api.ts";
import type { ServerState } from "./server_state.ts";
import { resolveSpec } from "./job_spec.ts";
import { expectFormat, MEDIA_TYPES } from "./encode.ts";
import { isEnd, type LoggedEvent } from "./event_log.ts";
import { isUnreadable, type JobStatus, type QueuedJob } from "./job_queue.ts";
import { jobView, listedView } from "./job_view.ts";
import { readJsonBody } from "./read_body.ts";
import { RequestError } from "./request_error.ts";
import { retryOf } from "./retry.ts";
import { sendPicture } from "./send_picture.ts";
import { sendEvents } from "./sse.ts";
import { spanOf } from "./trace.ts";

export function jobRoutes(server: ServerState): Hono {
  return new Hono().route("/", listRoutes(server)).route("/", oneJobRoutes(server));
}

/** Adding one, and the list of them. */
function listRoutes(server: ServerState): Hono {
  const app = new Hono();
  const { base, jobs } = server;
  app.post("/v1/jobs", async (context) => {
    const { limits, schemas, defaults } = server;
    const body = parseBody(schemas.job, await readJsonBody(context.req.raw, limits.body));
    const previews = body.previews ? "all" : 0;
    const spec = resolveSpec(server.catalog, body, { previews, defaults });
    await expectFormat(spec.format);
    const retry = retryOf(context, body);
    const asker = { owner: keyOf(context), span: spanOf(context), retry };
    const job = await jobs.add(spec, { body, previews, listed: true, ...asker });
    const location = `${base}/v1/jobs/${job.id}`;
    return context.json(jobView(await job.status(), base), 202, { location });
  });
  app.get("/v1/jobs", async (context) => context.json(await listOf(context, server)));
  return app;
}

/** What one of them is, was and made. */
function oneJobRoutes(server: ServerState): Hono {
  const app = new Hono();
  const { base } = server;
  const jobOf = (context: Context): Promise<QueuedJob> => server.job(context.req.param("id") ?? "");
  app.get("/v1/jobs/:id", async (context) => {
    const job = await jobOf(context);
    return context.json(jobView(await job.status(), base));
  });
  app.delete("/v1/jobs/:id", async (context) => {
    const job = await jobOf(context);
    await job.cancel();
    return context.json(jobView(await job.status(), base));
  });
  app.get("/v1/jobs/:id/events", async (context) => {
    const job = await jobOf(context);
    const last = lastEventId(context);
    return sendEvents(context, (signal) => eventsOf(job, base, { last, signal }));
  });
  app.get("/v1/jobs/:id/image", async (context) => {
    const job = await jobOf(context);
    const index = indexOf(context, job);
    expectCompleted(await job.status());
    const bytes = (await job.images())[index]!; // the index was checked
    const name = `${job.id}-${index}`;
    const { keptSeconds: seconds } = server.limits;
    const type = MEDIA_TYPES[job.spec.format];
    return await sendPicture(context, { bytes, type, name, seconds });
  });
  app.get("/v1/jobs/:id/latents", async (context) => {
    const job = await jobOf(context);
    expectCompleted(await job.status());
    const { dims, data } = await job.latents();
    return context.body(bytesOfFloats(data), 200, {
      "content-type": "application/octet-stream",
      "x-latent-shape": dims.join(","),
    });
  });
  return app;
}

/** A page of the caller's own jobs. */
async function listOf(
  context: Context,
  server: ServerState,
): Promise<Readonly<Record<string, unknown>>> {
  const { after, limit, state } = parseBody(JOBS_QUERY, context.req.query(), "list jobs");
  if (after !== undefined) {
    await server.job(after).catch((error: unknown) => { // refuses what is not there
      if (!isUnreadable(error)) throw error;
    });
  }
  const page = await server.jobs.list({ owner: keyOf(context), after, limit, state });
  return {
    object: "list",
    data: page.jobs.map((job) => listedView(job, server.base)),
    first_id: page.jobs[0]?.id ?? null,
    last_id: page.jobs.at(-1)?.id ?? null,
    has_more: page.hasMore,
  };
}

/** What is logged of a job; its end comes with all that the job is. */
async function* eventsOf(
  job: QueuedJob,
  base: string,
  { last, signal }: { readonly last: number; readonly signal: AbortSignal },
): AsyncGenerator<LoggedEvent, void, undefined> {
  for await (const logged of job.events(last, signal)) {
    yield isEnd(logged) ? { ...logged, data: jobView(await job.status(), base) } : logged;
  }
}

/** *Source:* HTML standard, "Server-sent events": a client that comes back says what it saw last. */
function lastEventId(context: Context): number {
  const text = context.req.header("last-event-id") ?? "0";
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new RequestError(
    `Cannot follow the job: Last-Event-ID must be an id of its events: current value is ${text}`,
    { param: "Last-Event-ID" },
  );
}

function expectCompleted({ state }: JobStatus): void {
  if (state === "completed") return;
  throw new RequestError(
    `Cannot send the picture: the job must be completed: current value is ${state}`,
    { status: 409, code: "job_not_completed" },
  );
}

function indexOf(context: Context, { spec: { pictures } }: QueuedJob): number {
  const text = context.req.query("index") ?? "0";
  const index = /^\d{1,6}$/.test(text) ? Number(text) : NaN;
  if (index < pictures.length) return index;
  throw new RequestError(
    `Cannot send the picture: index must be in 0 … ${
      pictures.length - 1
    }: current value is ${text}`,
    { param: "index" },
  );
}
