/**
 * The routes of a server as an OpenAPI document.
 *
 * *Source:* OpenAPI Specification 3.1.0.
 */

import { z } from "npm:zod@4.6.7";
import type { BodySchemas } from "./api.ts";
import { ANSWERS } from "./openapi_schemas.ts";
import { type HeaderFacts, isJobRoute, type RouteFacts } from "./route_table.ts";

const JSON_TYPE = "application/json";

type Json = Readonly<Record<string, unknown>>;

/** A parameter, or a field of a body. */
export interface Field {
  readonly description?: string;
}

/** Bodies by media type. */
export type Content = Readonly<
  Record<string, { readonly schema: Json & { readonly $ref?: string }; readonly example?: Json }>
>;

/** A route of the document. */
export interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly tags: readonly string[];
  readonly parameters?: readonly (Field & { readonly name: string })[];
  readonly requestBody?: { readonly required: true; readonly content: Content };
  readonly responses: Readonly<
    Record<string, { readonly description: string; readonly content: Content }>
  >;
  readonly security: readonly Json[];
}

/** The document, as far as it is shown. */
export interface OpenApiDocument extends Json {
  readonly info: Json & { readonly title: string; readonly version: string };
  readonly tags: readonly { readonly name: string; readonly description: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: Json & {
    readonly schemas: Readonly<
      Record<string, { readonly properties?: Readonly<Record<string, Field>> }>
    >;
  };
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
): OpenApiDocument {
  const paths: Record<string, Record<string, Operation>> = {};
  for (const facts of routes) {
    const [method = "", path = ""] = facts.route.split(" ");
    paths[path] = { ...paths[path], [method.toLowerCase()]: operation(facts, path, bearer) };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "InvarDiff",
      version,
      summary: "Diffusion transformers with cache plans",
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: publicUrl?.replace(/\/+$/, "") ?? "." }], // beside this document
    tags: TAGS.filter(({ name }) => routes.some((facts) => tagOf(facts) === name)),
    paths,
    components: {
      schemas: { ...bodiesOf(schemas), ...ANSWERS },
      securitySchemes: { key: { type: "http", scheme: "bearer" } },
    },
  };
}

/** Groups of routes. */
const TAGS = [
  { name: "images", description: "As OpenAI's clients call them" },
  { name: "jobs", description: "Pictures that are made while one watches, or later" },
  { name: "catalog", description: "Models, plans, and what this server can do" },
  { name: "service", description: "For those who run it" },
] as const;

function tagOf({ route }: RouteFacts): (typeof TAGS)[number]["name"] {
  if (!route.includes(" /v1/")) return "service";
  if (route.includes(" /v1/images")) return "images";
  return isJobRoute({ route }) ? "jobs" : "catalog";
}

function bodiesOf(schemas: BodySchemas): Readonly<Record<string, Json>> {
  const bodies = Object.entries(schemas).map(([name, schema]) => {
    const { $schema: _, ...body } = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
    if (name !== "edits") return [name, body];
    return [name, { ...body, properties: { ...FILES, ...body.properties }, required: ["image"] }];
  });
  return Object.fromEntries(bodies);
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

function operation(
  facts: RouteFacts,
  path: string,
  bearer: boolean,
): Operation {
  const { id, summary, open = false, body, isForm = false, status = 200, answer, query } = facts;
  const { headers = [], refusals = {} } = facts;
  const parameters = [
    ...pathParameters(path),
    ...queryParameters(query),
    ...headers.map(headerParameter),
  ];
  const sent = isForm ? "multipart/form-data" : JSON_TYPE;
  return {
    operationId: id,
    summary,
    tags: [tagOf(facts)],
    ...(parameters.length > 0 && { parameters }),
    ...(body !== undefined && { requestBody: { required: true, content: asked(sent, body) } }),
    responses: {
      [status]: {
        description: "It worked",
        content: Object.assign({}, ...Object.entries(answer).map((pair) => content(...pair))),
      },
      ...Object.fromEntries(Object.entries(refusals).map(([code, why]) => [code, refusal(why)])),
      default: refusal("It did not"),
    },
    security: open ? [] : bearer ? [{ key: [] }] : [{}, { key: [] }], // without keys one may be sent
  };
}

function refusal(description: string): Operation["responses"][string] {
  return { description, content: content(JSON_TYPE, "error") };
}

/** What a viewer offers to send, which would else fill in every field. */
const EXAMPLE = {
  prompt: "a person with curly hair, sunglasses and a green shirt, light blue background",
  seed: 3,
} as const;

/** A request's body of a media type. */
function asked(type: string, name: string): Content {
  const [body] = Object.values(content(type, name));
  return { [type]: { ...body!, ...(type === JSON_TYPE && { example: EXAMPLE }) } };
}

/** A body of a media type; one that is not JSON is text or bytes. */
function content(type: string, name: string | undefined): Content {
  if (name !== undefined) return { [type]: { schema: { $ref: `#/components/schemas/${name}` } } };
  const isText = type.startsWith("text/") || type.endsWith("+xml");
  return { [type]: { schema: isText ? { type: "string" } : BINARY } };
}

/** *Source:* OpenAPI 3.0; 3.1 would leave the schema out, which viewers show as nothing. */
const BINARY = { type: "string", format: "binary" } as const;

function pathParameters(path: string): NonNullable<Operation["parameters"]> {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => (
    { name, in: "path", required: true, schema: { type: "string" } }
  ));
}

function queryParameters(
  query: z.ZodType | undefined,
): NonNullable<Operation["parameters"]> {
  if (query === undefined) return [];
  const { properties = {} } = z.toJSONSchema(query, { io: "input", unrepresentable: "any" });
  return Object.entries(properties).map(([name, given]) => {
    const { description, ...schema } = Object(given);
    return { name, in: "query", ...(description !== undefined && { description }), schema };
  });
}

function headerParameter(facts: HeaderFacts): NonNullable<Operation["parameters"]>[number] {
  return { ...facts, ...{ in: "header", required: false } };
}
