/**
 * `POST /v1/images/generations` and `/v1/images/edits`, as OpenAI's clients call them, and the pictures that
 * their URLs lead to.
 *
 * *Source:* OpenAI API reference, "Create image", "Create image edit" and "Image streaming".
 */

import { type Context, Hono } from "npm:hono@4.13.19";
import { keyOf } from "./access.ts";
import { type EditsBody, type ImagesBody, parseBody } from "./api.ts";
import { toBase64 } from "./base64.ts";
import { planView } from "./catalog.ts";
import type { ServerState } from "./server_state.ts";
import { type JobSpec, pictureSize, resolveSpec } from "./job_spec.ts";
import { expectFormat, MEDIA_TYPES } from "./encode.ts";
import { isEnd } from "./event_log.ts";
import type { JobStatus, QueuedJob } from "./job_queue.ts";
import { noticesOf, policyView, promptView, tokensView } from "./job_view.ts";
import { readEdit, readEditForm } from "./edit_form.ts";
import { readJsonBody } from "./read_body.ts";
import { RequestError } from "./request_error.ts";
import { retryOf } from "./retry.ts";
import { sendPicture } from "./send_picture.ts";
import { sendEvents, type StreamEvent } from "./sse.ts";
import { spanOf } from "./trace.ts";

/** What is asked for: the beginning of its events' names. */
type Kind = "image_generation" | "image_edit";

export function imageRoutes(server: ServerState): Hono {
  const { limits, schemas } = server;
  return new Hono()
    .post("/v1/images/generations", async (context) => {
      const body = parseBody(schemas.images, await readJsonBody(context.req.raw, limits.body));
      const spec = specOf(server, body);
      return await answer(context, { server, body, spec, kind: "image_generation" });
    })
    .post("/v1/images/edits", async (context) => {
      const form = await readEditForm(context.req.raw, limits.upload);
      const body = parseBody(schemas.edits, form.fields);
      const spec = specOf(server, body);
      const { strength } = body;
      const reading = { pixelLimit: limits.uploadPixels, decoders: server.decoders };
      const edit = await readEdit(form, { spec, strength, ...reading });
      const notices = [...spec.notices, ...edit.notices];
      return await answer(context, {
        ...{ server, body, kind: "image_edit" },
        spec: { ...spec, edit, notices },
      });
    });
}

function specOf({ catalog, defaults }: ServerState, body: ImagesBody | EditsBody): JobSpec {
  if (body.partial_images > 0 && !body.stream) {
    throw new RequestError("Cannot generate: partial_images must be 0 where stream is not true", {
      param: "partial_images",
    });
  }
  return resolveSpec(catalog, body, { previews: body.partial_images, defaults });
}

/** Makes the pictures, at once or as a stream. */
async function answer(
  context: Context,
  { server, body, spec, kind }: {
    readonly server: ServerState;
    readonly body: ImagesBody | EditsBody;
    readonly spec: JobSpec;
    readonly kind: Kind;
  },
): Promise<Response> {
  await expectFormat(spec.format);
  const { n, partial_images: previews } = body;
  const retry = retryOf(context, [body, spec.edit?.record]);
  const asked = { body, previews, owner: keyOf(context), listed: false, span: spanOf(context) };
  const job = await server.jobs.add(spec, { ...asked, retry });
  const leave = async (): Promise<void> => { // who may come back for it leaves it running
    if (retry === undefined) await job.cancel();
  };
  if (body.stream) {
    return sendEvents(context, (signal) => streamed(job, { n, kind, leave }, signal));
  }
  const status = await finished(job, { leave, signal: context.req.raw.signal });
  const images = await job.images();
  return context.json(await answerOf({ status, images }, body, { server, context }));
}

/** The pictures of answered URLs; they need no key, since nobody can guess one. */
export function keptImageRoutes(server: ServerState): Hono {
  return new Hono().get("/v1/images/:name{(?!(?:generations|edits)$)[^/]+}", async (context) => {
    const name = context.req.param("name");
    const image = await server.jobs.published(name);
    if (image === undefined) {
      throw new RequestError("Image not found or expired", {
        status: 404,
        code: "image_not_found",
      });
    }
    return await sendPicture(context, { ...image, name, seconds: server.limits.keptSeconds });
  });
}

/** *Source:* the status that nginx logs; nobody is there to receive it. */
const CLIENT_LEFT = { status: 499, code: "client_left" };

const JOB_CANCELLED = { status: 409, code: "job_cancelled" };

/** Waits for a job's end, or until its client leaves. */
async function finished(
  job: QueuedJob,
  { leave, signal }: { readonly leave: () => Promise<void>; readonly signal: AbortSignal },
): Promise<JobStatus> {
  for await (const event of job.events(0, signal)) if (isEnd(event)) break;
  if (signal.aborted) {
    await leave();
    throw new RequestError("The client has left", CLIENT_LEFT);
  }
  return expectCompleted(await job.status());
}

/** What was cancelled though its client is there has a reason, unless it is an earlier request's. */
function expectCompleted(status: JobStatus): JobStatus {
  if (status.state === "completed") return status;
  throw status.error ?? new RequestError("The job was cancelled", JOB_CANCELLED);
}

async function answerOf(
  { status, images }: {
    readonly status: JobStatus;
    readonly images: readonly Uint8Array<ArrayBuffer>[];
  },
  { response_format: wanted }: ImagesBody | EditsBody,
  { server, context }: { readonly server: ServerState; readonly context: Context },
): Promise<Readonly<Record<string, unknown>>> {
  const { spec: { format, pictures }, result, times } = status;
  const place = { extension: format, origin: context.req.url };
  const urlOf = (bytes: Uint8Array<ArrayBuffer>): Promise<string> =>
    server.publish({ bytes, type: MEDIA_TYPES[format] }, place);
  const data = await Promise.all(images.map(async (bytes, i) => ({
    ...(wanted === "b64_json" ? { b64_json: toBase64(bytes) } : { url: await urlOf(bytes) }),
    seed: pictures[i]!.seed, // one for each image
  })));
  const seconds = result!.conditioningSeconds + result!.loopSeconds; // of a completed job
  return {
    created: Math.floor(times.created / 1000),
    data,
    ...parametersOf(status.spec),
    policy: policyView(status),
    seconds,
    ...tokensOf(status),
    notices: noticesOf(status),
  };
}

/** What each text encoder read of a prompt, where something counts. */
function tokensOf(job: JobStatus): Readonly<Record<string, unknown>> {
  const tokens = tokensView(job);
  return tokens === null ? {} : { tokens };
}

/** What a picture was made with, given or by default. */
function parametersOf(spec: JobSpec): Readonly<Record<string, unknown>> {
  const { model, pictures, sampler, steps, plan, format } = spec;
  return {
    ...promptView(spec),
    model: model.facts.id,
    size: pictureSize(model),
    output_format: format,
    background: "opaque",
    quality: "auto",
    seed: pictures[0]!.seed,
    sampler: sampler ?? model.facts.sampler.name,
    steps,
    guidance_scale: pictures[0]!.guidance,
    plan: planView(plan, model),
    ...(spec.edit !== undefined && { strength: spec.edit.record.strength }),
  };
}

/** Previews and, one for each picture, the results. */
async function* streamed(
  job: QueuedJob,
  { n, kind, leave }: {
    readonly n: number;
    readonly kind: Kind;
    /** Called when all is sent or the client has left. */
    readonly leave: () => Promise<void>;
  },
  signal: AbortSignal,
): AsyncGenerator<StreamEvent, void, undefined> {
  const { times } = await job.status();
  const shared = { created_at: Math.floor(times.created / 1000), ...parametersOf(job.spec) };
  const partials = Array.from({ length: n }, () => 0);
  try {
    for await (const { event, data } of job.events(0, signal)) {
      if (event !== "preview") continue;
      const { image_index, b64_json } = data as { image_index: number; b64_json: string }; // as job.ts writes it
      const type = `${kind}.partial_image`;
      const partial_image_index = partials[image_index]!++; // one for each picture
      const place = { image_index, partial_image_index };
      yield { event: type, data: { type, b64_json, ...place, ...shared } };
    }
    if (signal.aborted) return;
    const status = expectCompleted(await job.status());
    for (const [image_index, bytes] of (await job.images()).entries()) {
      const type = `${kind}.completed`;
      const { seed } = job.spec.pictures[image_index]!; // one for each image
      const image = { b64_json: toBase64(bytes), image_index, ...shared, seed };
      const told = {
        ...tokensOf(status),
        policy: policyView(status),
        notices: noticesOf(status),
      };
      yield { event: type, data: { type, ...image, ...told } };
    }
  } finally {
    await leave();
  }
}
