/**
 * A picture made by the server: a job, its events, its image.
 */

import { type Api, ApiError } from "./api.ts";
import type { JobEvents, JobView } from "./contract.ts";
import { patiently } from "./patiently.ts";
import type { RunEvent, Runner, RunOptions, RunRequest } from "./run.ts";
import type { Pixels } from "./pixels.ts";

/** What a run on a server needs of its surroundings. */
export interface ServerContext {
  readonly api: Api;
  /** What runs there, in words. */
  readonly backend: string;
  /** Decodes a picture file. */
  readonly decode: (file: Blob) => Promise<Pixels>;
}

const LAST: ReadonlySet<string> = new Set(["completed", "failed", "cancelled"]);

/** Makes a runner that submits jobs to the server. */
export function serverRunner(context: ServerContext): Runner {
  return async (request, options) => {
    const { api, backend, decode } = context;
    const asked = { ...askedOf(request), previews: true, watched: true };
    const { id } = await patiently(
      () => api.post<{ readonly id: string }>("/v1/jobs", asked),
      options,
    );
    const job = await follow(context, id, options);
    if (job.images.length === 0) throw new ApiError("The job ended without a picture.");
    const png = await (await api.request(`/v1/jobs/${id}/image`)).blob();
    const { seconds, notices } = job;
    return { pixels: await decode(png), png, seconds: seconds ?? 0, backend, notices };
  };
}

/** A request in the words of the API, without a picture that it begins from. */
export function askedOf(
  { guidance, negativePrompt, trueGuidance, plan, edit: _, engine: _2, ...rest }: RunRequest,
): Readonly<Record<string, string | number>> {
  const asked = {
    ...rest,
    negative_prompt: negativePrompt,
    true_guidance_scale: trueGuidance,
    guidance_scale: guidance,
    plan: plan ?? "none",
  };
  const given = Object.entries(asked).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value] as const]
  );
  return Object.fromEntries(given);
}

/** Follows a job to its end; a signal cancels it there. */
async function follow(
  { api, decode }: ServerContext,
  id: string,
  { onEvent, signal }: RunOptions,
): Promise<JobView> {
  const cancel = (): void =>
    void api.request(`/v1/jobs/${id}`, { method: "DELETE", keepalive: true }) // also of a page that closes
      .catch(() => {}); // it ends by itself
  signal.addEventListener("abort", cancel, { once: true });
  if (signal.aborted) cancel();
  let previews = Promise.resolve();
  try {
    for await (const { event, data } of api.events(`/v1/jobs/${id}/events`, (e) => LAST.has(e))) {
      const given = data as never; // the event's name tells its shape, see JobEvents
      if (event === "completed") return await previews.then(() => given);
      if (event === "cancelled") signal.throwIfAborted();
      if (event === "cancelled") throw new ApiError("The server cancelled the job.");
      if (event === "failed") throw new ApiError(failureOf(given));
      if (event === "preview") previews = previews.then(() => show(given, decode, onEvent));
      const told = translate(event, given);
      if (told !== undefined && !signal.aborted) onEvent(told);
    }
    throw new ApiError("The job's events ended early.");
  } finally {
    signal.removeEventListener("abort", cancel);
  }
}

function translate(event: string, data: never): RunEvent | undefined {
  if (event === "queued") {
    const { queue_position, eta_seconds }: JobEvents["queued"] = data;
    return { kind: "queued", ahead: queue_position ?? 0, eta: eta_seconds ?? undefined };
  }
  if (event === "started") {
    const { kinds }: JobEvents["started"] = data;
    return { kind: "started", kinds };
  }
  if (event === "preparing") {
    const { what, done, total }: JobEvents["preparing"] = data;
    return { kind: "loading", what, done, total };
  }
  if (event !== "step") return undefined;
  const { index, seconds, elapsed_seconds, eta_seconds }: JobEvents["step"] = data;
  const eta = eta_seconds ?? undefined;
  return { kind: "step", index, seconds, elapsed: elapsed_seconds, eta };
}

async function show(
  { b64_json }: JobEvents["preview"],
  decode: ServerContext["decode"],
  onEvent: RunOptions["onEvent"],
): Promise<void> {
  onEvent({ kind: "preview", pixels: await decode(pngOf(b64_json)) });
}

function failureOf({ error }: JobEvents["failed"]): string {
  return error?.message ?? "The job failed.";
}

/** A picture file from base64. */
export function pngOf(base64: string): Blob {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  return new Blob([bytes], { type: "image/png" });
}
