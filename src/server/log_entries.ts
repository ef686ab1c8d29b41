/**
 * What a server logs: an entry for each request, and for each job that it draws one when it begins and one when it
 * has ended. Entries of one trace are found by its id, on whichever machine they were written.
 */

import type { Job } from "./job.ts";
import { refusalOf } from "./request_error.ts";
import { traceIdOf } from "./trace.ts";

/** One request, as the access log has it. */
export interface AccessEntry {
  /** What happened. */
  readonly event: "request";
  /** When it came, ISO 8601. */
  readonly time: string;
  /** Its `x-request-id`. */
  readonly id: string;
  /** Id of its trace, 32 hexadecimal digits. */
  readonly trace: string;
  /** HTTP method. */
  readonly method: string;
  /** Path without its query. */
  readonly path: string;
  /** Status of the answer. */
  readonly status: number;
  /** Milliseconds until the answer's head. */
  readonly ms: number;
}

/** What a process that draws did with a job. */
export interface JobEntry {
  /** What happened; the last three are ends. */
  readonly event: "started" | "completed" | "failed" | "cancelled";
  /** When it happened, ISO 8601. */
  readonly time: string;
  /** Id of the job. */
  readonly job: string;
  /** Id of the trace of the request that it came with, 32 hexadecimal digits. */
  readonly trace: string;
  /** Id of its model. */
  readonly model: string;
  /** Pictures of the job. */
  readonly pictures: number;
  /** Milliseconds that it waited, before it was drawn or ended. */
  readonly waited: number;
  /** Milliseconds that it was drawn; of ends of jobs that had begun. */
  readonly ms?: number;
  /** Why it failed, or was cancelled: a word for programs. */
  readonly code?: string;
}

/** What is to be logged of a job now. */
export function jobEntry({ id, span, state, spec, times, error }: Job): JobEntry {
  const { created, started, finished } = times;
  const now = finished ?? started ?? created;
  return {
    event: state === "running" || state === "queued" ? "started" : state,
    time: new Date(now).toISOString(),
    job: id,
    trace: traceIdOf(span),
    model: spec.model.facts.id,
    pictures: spec.pictures.length,
    waited: (started ?? now) - created,
    ...(started !== undefined && finished !== undefined && { ms: finished - started }),
    ...(error !== undefined && { code: refusalOf(error).body.error.code }),
  };
}
