/**
 * Jobs: submit, look at, watch, cancel.
 */

import { type Context, Hono } from "npm:hono@4.13.19";
import { keyOf } from "./access.ts";
import { JOBS_QUERY, parseBody } from "./api.ts";
import type { ServerState } from "./server_state.ts";
import { resolveSpec } from "./job_spec.ts";
import { expectFormat, MEDIA_TYPES } from "./encode.ts";
import type { LoggedEvent } from "./event_log.ts";
import type { Job, JobResult } from "./job.ts";
import { jobView } from "./job_view.ts";
import { readJsonBody } from "./read_body.ts";
import { RequestError } from "./request_error.ts";
import { sendPicture } from "./send_picture.ts";
import { sendEvents } from "./sse.ts";

export function jobRoutes(server: ServerState): Hono {
  const app = new Hono();
  const jobOf = (context: Context): Job => server.job(context.req.param("id") ?? "");
  app.post("/v1/jobs", async (context) => {
    const { limits, schemas, queue, defaults } = server;
    const body = parseBody(schemas.job, await readJsonBody(context.req.raw, limits.body));
    const previews = body.previews ? "all" : 0;
    const spec = resolveSpec(server.catalog, body, { previews, defaults });
    await expectFormat(spec.format);
    const job = queue.submit(spec);
    server.keep(job, keyOf(context));
    const location = `${server.base}/v1/jobs/${job.id}`;
    return context.json(jobView(job, server.base), 202, { location });
  });
  app.get("/v1/jobs", (context) => context.json(listOf(context, server)));
  app.get("/v1/jobs/:id", (context) => context.json(jobView(jobOf(context), server.base)));
  app.delete("/v1/jobs/:id", (context) => {
    const job = jobOf(context);
    job.cancel();
    return context.json(jobView(job, server.base));
  });
  app.get("/v1/jobs/:id/events", (context) => {
    const job = jobOf(context);
    const last = lastEventId(context);
    return sendEvents(context, (signal) => eventsOf(job, server.base, { last, signal }));
  });
  app.get("/v1/jobs/:id/image", async (context) => {
    const job = jobOf(context);
    const index = indexOf(context, job);
    const bytes = resultOf(job).images[index]!; // the index was checked
    const name = `${job.id}-${index}`;
    const { keptSeconds: seconds } = server.limits;
    const type = MEDIA_TYPES[job.spec.format];
    return await sendPicture(context, { bytes, type, name, seconds });
  });
  app.get("/v1/jobs/:id/latents", (context) => {
    const { dims, data } = resultOf(jobOf(context)).latents;
    return context.body(bytesOf(data), 200, {
      "content-type": "application/octet-stream",
      "x-latent-shape": dims.join(","),
    });
  });
  return app;
}

/** A page of the caller's own jobs. */
function listOf(context: Context, server: ServerState): Readonly<Record<string, unknown>> {
  const { after, limit, state } = parseBody(JOBS_QUERY, context.req.query(), "list jobs");
  const from = after === undefined ? undefined : server.job(after);
  const { jobs, hasMore } = server.listJobs({ owner: keyOf(context), after: from, limit, state });
  return {
    object: "list",
    data: jobs.map((job) => jobView(job, server.base)),
    first_id: jobs[0]?.id ?? null,
    last_id: jobs.at(-1)?.id ?? null,
    has_more: hasMore,
  };
}

/** What is logged of a job; its end comes with all that the job is. */
async function* eventsOf(
  job: Job,
  base: string,
  { last, signal }: { readonly last: number; readonly signal: AbortSignal },
): AsyncGenerator<LoggedEvent, void, undefined> {
  for await (const logged of job.log.follow(last, signal)) {
    const isEnd = logged.event === job.state && !job.isOpen;
    yield isEnd ? { ...logged, data: jobView(job, base) } : logged;
  }
}

/** Float32, little-endian, whatever the machine. */
function bytesOf(data: Float32Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(data.length * 4);
  const view = new DataView(bytes.buffer);
  data.forEach((value, i) => view.setFloat32(i * 4, value, true));
  return bytes;
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

function resultOf(job: Job): JobResult {
  if (job.result !== undefined) return job.result;
  throw new RequestError(
    `Cannot send the picture: the job must be completed: current value is ${job.state}`,
    { status: 409, code: "job_not_completed" },
  );
}

function indexOf(context: Context, { spec: { pictures } }: Job): number {
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
