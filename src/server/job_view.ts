/**
 * A job as clients see it.
 */

import { planView } from "./catalog.ts";
import { lengthNotices } from "../engine/prompt_notices.ts";
import { type JobSpec, pictureSize, plannedKinds } from "./job_spec.ts";
import type { JobStatus, ListedJob } from "./job_queue.ts";
import { refusalOf } from "./request_error.ts";
import { traceIdOf } from "./trace.ts";

/** A job of a list. */
export function listedView(job: ListedJob, base: string): Readonly<Record<string, unknown>> {
  if ("spec" in job) return jobView(job, base);
  const { id, state, error } = job;
  return { id, object: "job", state, error: refusalOf(error).body.error };
}

/**
 * What `GET /v1/jobs/:id` answers, and what its last event says.
 *
 * @param base Path under which clients reach the server, without a slash at the end.
 */
export function jobView(job: JobStatus, base: string): Readonly<Record<string, unknown>> {
  const { id, state, step, batch, times, spec, result, position, eta } = job;
  const { plan, model, program } = spec;
  return {
    id,
    object: "job",
    state,
    queue_position: position ?? null,
    step,
    steps: program.length,
    eta_seconds: eta ?? null,
    created_at: times.created / 1000,
    started_at: times.started === undefined ? null : times.started / 1000,
    finished_at: times.finished === undefined ? null : times.finished / 1000,
    trace_id: traceIdOf(job.span),
    request: requestView(job),
    plan: planView(plan, model),
    policy: policyView(job),
    kinds: plannedKinds(spec),
    batch: batch ?? null,
    seconds: result?.loopSeconds ?? null,
    images: result === undefined ? [] : imageViews(job, base),
    tokens: tokensView(job),
    notices: noticesOf(job),
    error: job.error === undefined ? null : refusalOf(job.error).body.error,
  };
}

/** The policy that decided, and for each picture how many steps it reused; null without one. */
export function policyView(
  { spec: { policy }, result }: Pick<JobStatus, "spec" | "result">,
): Readonly<Record<string, unknown>> | null {
  return policy === undefined ? null : { word: policy, reused: result?.reused ?? null };
}

/** What a client should know of how its job differs from its request and from the plan's calibration. */
export function noticesOf({ spec, result }: JobStatus): readonly string[] {
  const prompts = spec.pictures.flatMap(({ prompt }) => prompt ?? []);
  const lengths = lengthNotices(prompts, result?.tokens);
  return [...spec.notices, ...lengths, ...result?.notices ?? []];
}

/** The words that pictures are drawn from, by the names of the request's fields. */
export function promptView(
  { pictures: [first], trueGuidance }: JobSpec,
): Readonly<Record<string, unknown>> {
  const { prompt } = first!; // there is one at least
  if (prompt === undefined) return {};
  const { prompt2, negativePrompt } = prompt;
  return {
    prompt: prompt.prompt,
    ...(prompt2 !== undefined && { prompt_2: prompt2 }),
    ...(negativePrompt !== undefined && { negative_prompt: negativePrompt }),
    ...(trueGuidance !== undefined && { true_guidance_scale: trueGuidance }),
  };
}

/** How much of the prompt each text encoder read; null where nothing counts. */
export function tokensView(
  { result }: JobStatus,
): readonly Readonly<Record<string, unknown>>[] | null {
  const [counts] = result?.tokens ?? []; // all pictures have one prompt
  return counts?.map((count) => ({
    ...count,
    omitted: Math.max(0, count.tokens - count.limit),
  })) ?? null;
}

function requestView({ spec }: JobStatus): Readonly<Record<string, unknown>> {
  const { model: { facts }, pictures, sampler, steps, format } = spec;
  const labels = pictures.flatMap(({ label }) => label ?? []);
  return {
    model: facts.id,
    ...promptView(spec),
    labels,
    label_names: labels.map((label) => facts.classNames[label] ?? `${label}`),
    seeds: pictures.map(({ seed }) => seed),
    sampler: sampler ?? facts.sampler.name,
    steps,
    guidance_scale: pictures[0]!.guidance, // one for all
    size: pictureSize(spec.model),
    output_format: format,
  };
}

function imageViews(
  { id, spec: { pictures, model } }: JobStatus,
  base: string,
): readonly unknown[] {
  const { latent, picture = latent } = model.facts;
  const [, height, width] = picture;
  return pictures.map(({ label, seed }, i) => ({
    url: `${base}/v1/jobs/${id}/image?index=${i}`,
    seed,
    label: label ?? null,
    width,
    height,
  }));
}
