/**
 * The routes of a server, as a table and as an OpenAPI document.
 *
 * *Source:* OpenAPI Specification 3.1.0.
 */

import { z } from "npm:zod@4.6.7";
import type { BodySchemas } from "./api.ts";

export interface RouteFacts {
  /** `METHOD /path/{parameter}`. */
  readonly route: string;
  readonly summary: string;
  /** Whether it answers without a key where keys are set. */
  readonly open?: boolean;
  readonly body?: keyof BodySchemas;
  /** Whether the body is a form with files. */
  readonly isForm?: boolean;
  /** Status of success; 200 unless given. */
  readonly status?: number;
  /** Media type of success; JSON unless given. */
  readonly type?: string;
}

const JSON_TYPE = "application/json";
const LATENTS = "A job's latents, float32 little-endian";
const PICTURE = "A picture that was answered as a URL";
const PLAN = "A plan as its JSON file; with .svg after the id, a heat-map";

/** Every route that a server may have. */
export const ROUTES: readonly RouteFacts[] = [
  {
    route: "POST /v1/images/generations",
    summary: "Make pictures, at once or as a stream",
    body: "images",
  },
  {
    route: "POST /v1/images/edits",
    summary: "Make pictures from a picture, at once or as a stream",
    body: "edits",
    isForm: true,
  },
  { route: "GET /v1/images/{name}", summary: PICTURE, type: "image/*", open: true },
  { route: "GET /v1/models", summary: "All models" },
  { route: "GET /v1/models/{id}", summary: "A model" },
  { route: "GET /v1/plans", summary: "All cache plans" },
  { route: "GET /v1/plans/{id}", summary: PLAN },
  { route: "GET /v1/capabilities", summary: "Limits, backends, samplers, and which routes exist" },
  { route: "POST /v1/jobs", summary: "Submit a job", body: "job", status: 202 },
  { route: "GET /v1/jobs/{id}", summary: "State of a job" },
  { route: "DELETE /v1/jobs/{id}", summary: "Cancel a job" },
  { route: "GET /v1/jobs/{id}/events", summary: "Watch a job", type: "text/event-stream" },
  { route: "GET /v1/jobs/{id}/image", summary: "A job's picture", type: "image/*" },
  { route: "GET /v1/jobs/{id}/latents", summary: LATENTS, type: "application/octet-stream" },
  { route: "GET /healthz", summary: "Whether the process answers", open: true },
  {
    route: "GET /readyz",
    summary: "Whether it can generate; 503 while loading or draining",
    open: true,
  },
  { route: "GET /metrics", summary: "Counters and gauges for Prometheus", type: "text/plain" },
  { route: "GET /openapi.json", summary: "This document" },
];

/** `METHOD /path/:parameter`, as routers write it. */
export function routeName({ route }: RouteFacts): string {
  return route.replaceAll(/\{(\w+)\}/g, ":$1");
}

/** Whether it is one of the routes of jobs. */
export function isJobRoute({ route }: RouteFacts): boolean {
  return route.includes(" /v1/jobs");
}

/** The document of a server with these routes. */
export function openApiDocument(
  routes: readonly RouteFacts[],
  { schemas, version, bearer, publicUrl }: {
    readonly schemas: BodySchemas;
    readonly version: string;
    readonly bearer: boolean;
    readonly publicUrl: string | undefined;
  },
): Readonly<Record<string, unknown>> {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const facts of routes) {
    const [method = "", path = ""] = facts.route.split(" ");
    paths[path] = { ...paths[path], [method.toLowerCase()]: operation(facts, path, bearer) };
  }
  const bodies = Object.entries(schemas).map(([name, schema]) => {
    const json = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
    if (name !== "edits") return [name, json];
    return [name, { ...json, properties: { ...FILES, ...json.properties }, required: ["image"] }];
  });
  return {
    openapi: "3.1.0",
    info: { title: "InvarDiff", version, summary: "Diffusion transformers with cache plans" },
    ...(publicUrl !== undefined && { servers: [{ url: publicUrl.replace(/\/+$/, "") }] }),
    paths,
    components: {
      schemas: { ...Object.fromEntries(bodies), error: ERROR_SCHEMA },
      ...(bearer && { securitySchemes: { key: { type: "http", scheme: "bearer" } } }),
    },
  };
}

/** The files of a form. */
const FILES = {
  image: { type: "string", format: "binary", description: "PNG, JPEG or WebP" },
  mask: {
    type: "string",
    format: "binary",
    description: "As large as the image; its transparent part is repainted",
  },
} as const;

const ERROR_SCHEMA = {
  type: "object",
  required: ["error"],
  properties: {
    error: {
      type: "object",
      required: ["message", "type", "param", "code"],
      properties: {
        message: { type: "string" },
        type: { type: "string" },
        param: { type: ["string", "null"] },
        code: { type: "string" },
      },
    },
  },
} as const;

function operation(
  { route, summary, open = false, body, isForm = false, status = 200, type = JSON_TYPE }:
    RouteFacts,
  path: string,
  bearer: boolean,
): Readonly<Record<string, unknown>> {
  const parameters = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => (
    { name, in: "path", required: true, schema: { type: "string" } }
  ));
  const content = (name: string, type: string = JSON_TYPE): unknown => ({
    [type]: { schema: { $ref: `#/components/schemas/${name}` } },
  });
  const sent = isForm ? "multipart/form-data" : JSON_TYPE;
  return {
    summary,
    tags: [isJobRoute({ route, summary }) ? "jobs" : path.startsWith("/v1") ? "core" : "health"],
    ...(parameters.length > 0 && { parameters }),
    ...(body !== undefined && { requestBody: { required: true, content: content(body, sent) } }),
    responses: {
      [status]: { description: "It worked", content: { [type]: {} } },
      default: { description: "It did not", content: content("error") },
    },
    ...(bearer && !open && { security: [{ key: [] }] }),
  };
}
