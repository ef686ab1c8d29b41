/**
 * `POST /v1/images/generations` and `/v1/images/edits`, as OpenAI's clients call them, and the pictures that
 * their URLs lead to.
 *
 * *Source:* OpenAI API reference, "Create image", "Create image edit" and "Image streaming".
 */

import { type Context, Hono } from "npm:hono@4.13.19";
import { type EditsBody, type ImagesBody, parseBody } from "./api.ts";
import { toBase64 } from "./base64.ts";
import { planView } from "./catalog.ts";
import type { ServerState } from "./server_state.ts";
import { type JobSpec, pictureSize, resolveSpec } from "./job_spec.ts";
import { expectFormat, MEDIA_TYPES } from "./encode.ts";
import type { Job } from "./job.ts";
import { noticesOf, promptView, tokensView } from "./job_view.ts";
import { readEdit, readEditForm } from "./edit_form.ts";
import { readJsonBody } from "./read_body.ts";
import { RequestError } from "./request_error.ts";
import { sendPicture } from "./send_picture.ts";
import { sendEvents, type StreamEvent } from "./sse.ts";

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
      const edit = await readEdit(form, { spec, strength, pixelLimit: limits.uploadPixels });
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
  const job = server.queue.submit(spec);
  const { n } = body;
  if (body.stream) return sendEvents(context, (signal) => streamed(job, { n, kind }, signal));
  await finished(job, context.req.raw.signal);
  return context.json(answerOf(job, body, { server, context }));
}

/** The pictures of answered URLs; they need no key, since nobody can guess one. */
export function keptImageRoutes(server: ServerState): Hono {
  return new Hono().get("/v1/images/:name{(?!(?:generations|edits)$)[^/]+}", async (context) => {
    const name = context.req.param("name");
    const image = server.images.get(name);
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

/** Waits for a job's end; a client that leaves cancels it. */
async function finished(job: Job, signal: AbortSignal): Promise<void> {
  const leave = (): void => job.cancel();
  if (signal.aborted) leave();
  signal.addEventListener("abort", leave, { once: true });
  await job.ended;
  signal.removeEventListener("abort", leave);
  if (signal.aborted) throw new RequestError("The client has left", CLIENT_LEFT);
  expectCompleted(job);
}

/** What was cancelled though its client is there has a reason. */
function expectCompleted({ state, error }: Job): void {
  if (state !== "completed") throw error;
}

function answerOf(
  job: Job,
  { response_format: wanted }: ImagesBody | EditsBody,
  { server, context }: { readonly server: ServerState; readonly context: Context },
): Readonly<Record<string, unknown>> {
  const { spec: { format, pictures }, result, times } = job;
  const place = { extension: format, origin: context.req.url };
  const urlOf = (bytes: Uint8Array<ArrayBuffer>): string =>
    server.publish({ bytes, type: MEDIA_TYPES[format] }, place);
  const data = result!.images.map((bytes, i) => ({ // of a completed job
    ...(wanted === "b64_json" ? { b64_json: toBase64(bytes) } : { url: urlOf(bytes) }),
    seed: pictures[i]!.seed,
  }));
  const seconds = result!.conditioningSeconds + result!.loopSeconds;
  return {
    created: Math.floor(times.created / 1000),
    data,
    ...parametersOf(job.spec),
    seconds,
    ...tokensOf(job),
    notices: noticesOf(job),
  };
}

/** What each text encoder read of a prompt, where something counts. */
function tokensOf(job: Job): Readonly<Record<string, unknown>> {
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

/** Previews and, one for each picture, the results. A client that leaves cancels the job. */
async function* streamed(
  job: Job,
  { n, kind }: { readonly n: number; readonly kind: Kind },
  signal: AbortSignal,
): AsyncGenerator<StreamEvent, void, undefined> {
  const shared = { created_at: Math.floor(job.times.created / 1000), ...parametersOf(job.spec) };
  const partials = Array.from({ length: n }, () => 0);
  try {
    for await (const { event, data } of job.log.follow(0, signal)) {
      if (event !== "preview") continue;
      const { image_index, b64_json } = data as { image_index: number; b64_json: string }; // as job.ts writes it
      const type = `${kind}.partial_image`;
      const partial_image_index = partials[image_index]!++; // one for each picture
      const place = { image_index, partial_image_index };
      yield { event: type, data: { type, b64_json, ...place, ...shared } };
    }
    if (signal.aborted) return;
    expectCompleted(job);
    for (const [image_index, bytes] of job.result!.images.entries()) { // of a completed job
      const type = `${kind}.completed`;
      const { seed } = job.spec.pictures[image_index]!; // one for each image
      const image = { b64_json: toBase64(bytes), image_index, ...shared, seed };
      const told = { ...tokensOf(job), notices: noticesOf(job) };
      yield { event: type, data: { type, ...image, ...told } };
    }
  } finally {
    job.cancel();
  }
}
