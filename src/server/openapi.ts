/**
 * The routes of a server, as a table and as an OpenAPI document.
 *
 * *Source:* OpenAPI Specification 3.1.0.
 *
 * @module
 */

import { z } from "zod";
import type { BodySchemas } from "./api.ts";

/** One route. */
export interface RouteFacts {
  /** HTTP method. */
  readonly method: "get" | "post" | "delete";
  /** Path with `{parameters}`. */
  readonly path: string;
  /** What it does. */
  readonly summary: string;
  /** Which part of the server it belongs to. */
  readonly tag: "core" | "jobs" | "health";
  /** Whether it answers without a key where keys are set. */
  readonly open?: boolean;
  /** Schema of its body. */
  readonly body?: keyof BodySchemas;
  /** Status and media type of success. */
  readonly success: readonly [number, string];
}

const JSON_TYPE = "application/json";

/** Every route that a server may have. */
export const ROUTES: readonly RouteFacts[] = [
  core("post", "/v1/images/generations", "Make pictures, at once or as a stream", {
    body: "images",
  }),
  core("get", "/v1/images/{name}", "A picture that was answered as a URL", {
    success: [200, "image/*"],
    open: true,
  }),
  core("get", "/v1/models", "All models"),
  core("get", "/v1/models/{id}", "A model"),
  core("get", "/v1/plans", "All cache plans"),
  core("get", "/v1/plans/{id}", "A plan as its JSON file; with .svg after the id, a heat-map"),
  core("get", "/v1/capabilities", "Limits, backends, samplers, and which routes exist here"),
  job("post", "/v1/jobs", "Submit a job", { body: "job", success: [202, JSON_TYPE] }),
  job("get", "/v1/jobs/{id}", "State of a job"),
  job("delete", "/v1/jobs/{id}", "Cancel a job"),
  job("get", "/v1/jobs/{id}/events", "Watch a job", { success: [200, "text/event-stream"] }),
  job("get", "/v1/jobs/{id}/image", "A job's picture", { success: [200, "image/*"] }),
  job("get", "/v1/jobs/{id}/latents", "A job's latents, float32 little-endian", {
    success: [200, "application/octet-stream"],
  }),
  health("/healthz", "Whether the process answers"),
  health("/readyz", "Whether it can generate; 503 while loading or draining"),
  {
    ...health("/metrics", "Counters and gauges for Prometheus"),
    success: [200, "text/plain"],
    open: false,
  },
  { ...health("/openapi.json", "This document"), open: false },
];

/** `METHOD /path/:parameter`, as routers write it. */
export function routeName({ method, path }: RouteFacts): string {
  return `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ":$1")}`;
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
  for (const route of routes) {
    paths[route.path] = {
      ...paths[route.path],
      [route.method]: operation(route, bearer),
    };
  }
  const bodies = Object.entries(schemas).map(([name, schema]) => [
    name,
    z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }),
  ]);
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

function operation(route: RouteFacts, bearer: boolean): Readonly<Record<string, unknown>> {
  const [status, type] = route.success;
  const parameters = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    schema: { type: "string" },
  }));
  const error = { $ref: "#/components/schemas/error" };
  return {
    summary: route.summary,
    tags: [route.tag],
    ...(parameters.length > 0 && { parameters }),
    ...(route.body !== undefined && {
      requestBody: {
        required: true,
        content: { [JSON_TYPE]: { schema: { $ref: `#/components/schemas/${route.body}` } } },
      },
    }),
    responses: {
      [status]: { description: "It worked", content: { [type]: {} } },
      default: { description: "It did not", content: { [JSON_TYPE]: { schema: error } } },
    },
    ...(bearer && route.open !== true && { security: [{ key: [] }] }),
  };
}

type Rest = Partial<Omit<RouteFacts, "method" | "path" | "summary" | "tag">>;

function core(
  method: RouteFacts["method"],
  path: string,
  summary: string,
  rest: Rest = {},
): RouteFacts {
  return { method, path, summary, tag: "core", success: [200, JSON_TYPE], ...rest };
}

function job(
  method: RouteFacts["method"],
  path: string,
  summary: string,
  rest: Rest = {},
): RouteFacts {
  return { ...core(method, path, summary, rest), tag: "jobs" };
}

function health(path: string, summary: string): RouteFacts {
  return { ...core("get", path, summary, { open: true }), tag: "health" };
}
