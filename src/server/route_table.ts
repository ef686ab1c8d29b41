/**
 * The routes of a server as a table.
 */

import { z } from "npm:zod@4.6.7";
import { type BodySchemas, JOBS_QUERY } from "./api.ts";
import type { ANSWERS } from "./openapi_schemas.ts";
import { LONGEST_RETRY_KEY } from "./retry.ts";

/** A header that a route takes beside those of all routes. */
export interface HeaderFacts {
  readonly name: string;
  readonly description: string;
  readonly schema: Readonly<Record<string, unknown>>;
}

export interface RouteFacts {
  /** `METHOD /path/{parameter}`. */
  readonly route: string;
  /** What generated clients call it. */
  readonly id: string;
  readonly summary: string;
  /** Whether it answers without a key where keys are set. */
  readonly open?: boolean;
  readonly body?: keyof BodySchemas;
  /** Whether the body is a form with files. */
  readonly isForm?: boolean;
  /** Status of success; 200 unless given. */
  readonly status?: number;
  /** The answer by media type: the name of its schema, or none where it is not JSON. */
  readonly answer: Readonly<Record<string, keyof typeof ANSWERS | undefined>>;
  /** Parameters of the query. */
  readonly query?: z.ZodType;
  readonly headers?: readonly HeaderFacts[];
  /** Why it refuses, by status, where other routes do not. */
  readonly refusals?: Readonly<Record<number, string>>;
}

const JSON_TYPE = "application/json";
const EVENTS = { "text/event-stream": undefined };
const PICTURES = { "image/png": undefined, "image/jpeg": undefined, "image/webp": undefined };
const INDEX_QUERY = z.object({
  index: z.int().min(0).default(0).describe("Which of the job's pictures"),
});

/** Of routes that make pictures, whose answer may be lost. */
const SENT_AGAIN = {
  headers: [{
    name: "Idempotency-Key",
    description:
      "Of the client's own making; a request that is sent again with it gets its first job",
    schema: { type: "string", maxLength: LONGEST_RETRY_KEY },
  }],
  refusals: { 422: "Its Idempotency-Key came with another request before" },
} as const;

/** An answer in JSON. */
function json(schema: keyof typeof ANSWERS): RouteFacts["answer"] {
  return { [JSON_TYPE]: schema };
}

/** Every route that a server may have. */
export const ROUTES: readonly RouteFacts[] = [
  {
    route: "POST /v1/images/generations",
    id: "createImages",
    summary: "Make pictures, at once or as a stream",
    body: "images",
    answer: { ...json("images_answer"), ...EVENTS },
    ...SENT_AGAIN,
  },
  {
    route: "POST /v1/images/edits",
    id: "editImage",
    summary: "Make pictures from a picture, at once or as a stream",
    body: "edits",
    isForm: true,
    answer: { ...json("images_answer"), ...EVENTS },
    ...SENT_AGAIN,
  },
  {
    route: "GET /v1/images/{name}",
    id: "getImage",
    summary: "A picture that was answered as a URL",
    answer: PICTURES,
    open: true,
  },
  {
    route: "GET /v1/models",
    id: "listModels",
    summary: "All models",
    answer: json("models"),
  },
  { route: "GET /v1/models/{id}", id: "getModel", summary: "A model", answer: json("model") },
  {
    route: "GET /v1/plans",
    id: "listPlans",
    summary: "All cache plans",
    answer: json("plans"),
  },
  {
    route: "GET /v1/plans/{id}",
    id: "getPlan",
    summary: "A plan as its file; with .svg after the id, a heat-map",
    answer: { ...json("plan_file"), "image/svg+xml": undefined },
  },
  {
    route: "GET /v1/capabilities",
    id: "getCapabilities",
    summary: "Limits, backends, samplers, and which routes exist",
    answer: json("capabilities"),
  },
  {
    route: "POST /v1/jobs",
    id: "createJob",
    summary: "Submit a job",
    body: "job",
    status: 202,
    answer: json("job_answer"),
    ...SENT_AGAIN,
  },
  {
    route: "GET /v1/jobs",
    id: "listJobs",
    summary: "One's own jobs, newest first",
    query: JOBS_QUERY,
    answer: json("jobs"),
  },
  {
    route: "GET /v1/jobs/{id}",
    id: "getJob",
    summary: "State of a job",
    answer: json("job_answer"),
  },
  {
    route: "DELETE /v1/jobs/{id}",
    id: "cancelJob",
    summary: "Cancel a job",
    answer: json("job_answer"),
  },
  {
    route: "GET /v1/jobs/{id}/events",
    id: "watchJob",
    summary: "Watch a job",
    answer: EVENTS,
    headers: [{
      name: "Last-Event-ID",
      description: "Number of the last event that was seen: those after it follow",
      schema: { type: "string" },
    }],
  },
  {
    route: "GET /v1/jobs/{id}/image",
    id: "getJobImage",
    summary: "A job's picture",
    query: INDEX_QUERY,
    answer: PICTURES,
  },
  {
    route: "GET /v1/jobs/{id}/latents",
    id: "getJobLatents",
    summary: "A job's latents, float32 little-endian; X-Latent-Shape has their shape",
    answer: { "application/octet-stream": undefined },
  },
  {
    route: "GET /healthz",
    id: "getHealth",
    summary: "Whether the process answers",
    answer: json("health"),
    open: true,
  },
  {
    route: "GET /readyz",
    id: "getReadiness",
    summary: "Whether it can generate; 503 while loading or draining",
    answer: json("readiness"),
    open: true,
  },
  {
    route: "GET /metrics",
    id: "getMetrics",
    summary: "Counters, gauges and histograms for Prometheus",
    answer: { "text/plain": undefined },
  },
  {
    route: "GET /openapi.json",
    id: "getOpenApi",
    summary: "This document; /docs shows it",
    answer: json("document"),
    open: true,
  },
];

/** `METHOD /path/:parameter`, as routers write it. */
export function routeName({ route }: RouteFacts): string {
  return route.replaceAll(/\{(\w+)\}/g, ":$1");
}

/** Whether it is one of the routes of jobs. */
export function isJobRoute({ route }: Pick<RouteFacts, "route">): boolean {
  return route.includes(" /v1/jobs");
}
