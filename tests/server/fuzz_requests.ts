/** Requests made from `/openapi.json`, and what an answer must be. */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { App } from "../../src/server/app.ts";
import { golden } from "../image/golden_pictures.ts";

/** As far as zod writes it. */
interface Schema {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
}

/** A request. */
export interface Ask {
  readonly method: string;
  readonly path: string;
  readonly body?: string | FormData;
  readonly headers: Readonly<Record<string, string>>;
}

/** Sends a request to a server; no answer may be a fault of the server. */
export async function send(
  app: App,
  { method, path, body, headers }: Ask,
): Promise<"drawn" | "refused"> {
  const response = await app.request(path, {
    method,
    headers,
    ...(body !== undefined && { body }),
  });
  const text = await response.text();
  const said = body instanceof FormData ? JSON.stringify([...body]) : body;
  const shown = `${method} ${path} ${said}: ${response.status} ${text.slice(0, 300)}`;
  assert(response.status < 500, shown);
  if (response.status === 202) { // a job: cancelled, so that the queue never fills
    await app.request(`/v1/jobs/${JSON.parse(text).id}`, { method: "DELETE" });
  }
  if (response.status >= 400) assertEquals(typeof JSON.parse(text).error.message, "string", shown);
  return response.status < 300 ? "drawn" : "refused";
}

/** Any route, with what its schema allows, or nearly, or anything at all. */
export async function requestsOf(app: App): Promise<fc.Arbitrary<Ask>> {
  const { paths, components } = await (await app.request("/openapi.json")).json();
  const operations = Object.entries<Record<string, OpenApiOperation>>(paths).flatMap((
    [path, methods],
  ) =>
    Object.entries(methods).map(([method, operation]) =>
      askOf(path, method, operation, components.schemas)
    )
  );
  const posts = operations.filter(({ posts }) => posts).map(({ ask }) => ({
    arbitrary: ask,
    weight: 10,
  }));
  const others = operations.filter(({ posts }) => !posts).map(({ ask }) => ({
    arbitrary: ask,
    weight: 1,
  }));
  return fc.oneof(...posts, ...others);
}

interface OpenApiOperation {
  readonly parameters?: readonly { readonly in: string; readonly name: string }[];
  readonly requestBody?: {
    readonly content: Readonly<Record<string, { readonly schema: { readonly $ref: string } }>>;
  };
}

function askOf(
  path: string,
  method: string,
  operation: OpenApiOperation,
  schemas: Readonly<Record<string, Schema>>,
): { readonly posts: boolean; readonly ask: fc.Arbitrary<Ask> } {
  const [[type, content] = []] = Object.entries(operation.requestBody?.content ?? {});
  const reference = content?.schema.$ref;
  const schema = reference === undefined ? undefined : schemas[reference.split("/").at(-1)!];
  const filled = fc.oneof(
    fc.constantFrom("..", "%2e%2e%2f", "x.svg", "%00", "0"),
    fc.webPath({ size: "small" }),
    fc.string(),
  )
    .map((text) =>
      path.replaceAll(/\{\w+\}/g, () => encodeURI(text).replaceAll("?", "").replaceAll("#", ""))
    );
  const headers = fc.oneof(
    { arbitrary: fc.constant({ "content-type": "application/json" }), weight: 20 },
    { arbitrary: fc.constant({}), weight: 1 },
    { arbitrary: fc.constant({ "content-type": "text/plain" }), weight: 1 },
  );
  const body: fc.Arbitrary<string | FormData | undefined> = schema === undefined
    ? fc.constant(undefined)
    : type === "multipart/form-data"
    ? fc.oneof({ arbitrary: formOf(schema), weight: 20 }, { arbitrary: bodyOf(schema), weight: 1 })
    : bodyOf(schema);
  const named = namedHeaders(operation);
  const ask = fc.record({ path: filled, headers, named, body }).map((
    { path, headers, named, body },
  ) => ({
    path,
    headers: { ...(body instanceof FormData ? {} : headers), ...named }, // a form says where its parts begin
    method: method.toUpperCase(),
    ...(body !== undefined && { body }),
  }));
  return { posts: schema !== undefined, ask };
}

/** Headers that the document names, now and then; few values, so that some come again. */
function namedHeaders({ parameters = [] }: OpenApiOperation): fc.Arbitrary<Record<string, string>> {
  const value = fc.constantFrom("", "1", "2", "-1", "x".repeat(300), "\u00ff");
  const named = parameters.filter((each) => each.in === "header").map(({ name }) => [name, value]);
  return fc.oneof(
    { arbitrary: fc.constant({}), weight: 8 },
    { arbitrary: fc.record<Record<string, string>>(Object.fromEntries(named)), weight: 1 },
  );
}

function bodyOf(schema: Schema): fc.Arbitrary<string> {
  const valid = valueOf(schema);
  const names = Object.keys(schema.properties ?? {});
  const nearly = fc.tuple(valid, fc.constantFrom(...names, "colour", "__proto__"), fc.jsonValue())
    .map(([value, name, other]) => ({ ...Object(value), [name]: other }));
  return fc.oneof(
    { arbitrary: valid.map((value) => JSON.stringify(value)), weight: 6 },
    { arbitrary: nearly.map((value) => JSON.stringify(value)), weight: 3 },
    { arbitrary: fc.json(), weight: 1 },
    { arbitrary: fc.string({ unit: "binary" }), weight: 1 },
  );
}

/** Pictures, whole and damaged, and what is none. */
const FILES = await Promise.all(["mask.png", "plain.jpg", "lossy.webp", "cmyk.jpg"].map(golden));
const JUNK = [new Uint8Array(), Uint8Array.of(1, 2, 3), ...FILES.map((file) => file.slice(0, 90))];

/** A form of a schema's fields as texts, with files. */
function formOf(schema: Schema): fc.Arbitrary<FormData> {
  const fields = valueOf({ ...schema, properties: { ...schema.properties, image: {}, mask: {} } });
  const file = fc.oneof(
    { arbitrary: fc.constantFrom(...FILES), weight: 6 },
    { arbitrary: fc.constantFrom(...JUNK), weight: 1 },
  );
  const files = fc.record({
    image: file,
    mask: fc.option(file, { freq: 1 }),
    extra: fc.constantFrom(undefined, undefined, undefined, "image[]", "n"),
  });
  return fc.tuple(fields, files).map(([fields, { image, mask, extra }]) => {
    const form = new FormData();
    for (const [name, value] of Object.entries(Object(fields))) {
      if (name === "image" || name === "mask" || value === undefined || value === null) continue;
      form.append(name, typeof value === "string" ? value : JSON.stringify(value));
    }
    form.append("image", new Blob([new Uint8Array(image)]));
    if (mask !== null) form.append("mask", new Blob([new Uint8Array(mask)]));
    if (extra !== undefined) form.append(extra, new Blob([new Uint8Array(image)]));
    return form;
  });
}

function valueOf(schema: Schema): fc.Arbitrary<unknown> {
  if (schema.anyOf !== undefined) return fc.oneof(...schema.anyOf.map(valueOf));
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  if (schema.const !== undefined) return fc.constant(schema.const);
  const { minimum = -1e9, maximum = 1e9, minLength = 0, maxLength = 50 } = schema;
  switch (schema.type) {
    case "object": {
      const fields: Record<string, fc.Arbitrary<unknown>> = {};
      for (const [name, each] of Object.entries(schema.properties ?? {})) {
        fields[name] = knownOr(name, each);
      }
      return fc.record(fields, { requiredKeys: ["label"] });
    }
    case "integer":
      return fc.oneof(
        fc.integer({ min: Math.max(minimum, -1e9), max: Math.min(maximum, 1e9) }),
        fc.constantFrom(Math.max(minimum, -1e15), Math.min(maximum, 1e15)),
      );
    case "number":
      return fc.double({ min: minimum, max: maximum, noNaN: true });
    case "boolean":
      return fc.boolean();
    case "null":
      return fc.constant(null);
    default:
      return fc.string({ minLength, maxLength: Math.min(maxLength, 50) });
  }
}

const SENCACHE = "sencache:threshold=9,at.0=999,latent.0=1,time.0=0";

/** A schema does not know which classes, models and plans there are: a test does, and mostly names them. */
function knownOr(name: string, schema: Schema): fc.Arbitrary<unknown> {
  const known: Readonly<Record<string, readonly unknown[]>> = {
    label: [0, 1, 2],
    model: [undefined],
    plan: [undefined, "auto", "none"],
    size: [undefined, "auto", "8x8"],
    policy: [...[1, 2, 3].map(() => undefined), "teacache", "first-block:threshold=1", SENCACHE],
    prompt: ["0", "2"],
    partial_images: [undefined, 0],
  };
  const values = known[name];
  if (values === undefined) return valueOf(schema);
  return fc.oneof({ arbitrary: fc.constantFrom(...values), weight: 9 }, {
    arbitrary: valueOf(schema),
    weight: 1,
  });
}
