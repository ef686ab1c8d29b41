/** The OpenAPI document: whole, and true of what the server answers. */
import { assert, assertEquals } from "@std/assert";
import { z } from "zod";
import type { App } from "../../src/server/app.ts";
import { linearSchedule } from "../../src/sampler/noise_schedule.ts";
import { examplePlan } from "../plan/example_plans.ts";
import { BROKEN, post, talkative, TOY_FACTS, toyApp, ToyRenderer } from "./toy_renderer.ts";

const KEY = "a-key-of-sixteen-letters";
const PLANS = [{
  name: "toy.fast",
  plan: examplePlan(["...", "=", "..."], {
    fingerprints: [TOY_FACTS.fingerprint],
    modules: [...TOY_FACTS.modules],
    sampler: { name: "ddim", times: linearSchedule(3).times },
  }),
}];

Deno.test("every operation has a name of its own, a group, a schema and what a client must show", async () => {
  for (const apiKeys of [[], [KEY]]) {
    const document = await documentOf(await toyApp(undefined, { apiKeys }));
    const operations = Object.values(document.paths).flatMap((path) => Object.values(path));
    const ids = operations.map(({ operationId }) => operationId);
    assert(ids.every((id) => /^[a-z]+[A-Z]\w+$/.test(id)), `${ids}`);
    assertEquals(new Set(ids).size, ids.length);
    const tags = document.tags.map(({ name }) => name);
    for (const { operationId, tags: [tag], responses, security } of operations) {
      assert(tags.includes(tag!), operationId);
      const wanted = apiKeys.length > 0 ? [[{ key: [] }], []] : [[{}, { key: [] }], []];
      assert(wanted.some((each) => JSON.stringify(each) === JSON.stringify(security)), operationId);
      for (const { content } of Object.values(responses)) {
        for (const [type, { schema }] of Object.entries(content)) {
          assert(Object.keys(schema).length > 0, `${operationId}: ${type}`);
        }
      }
    }
    assertEquals(document.components.securitySchemes, { key: { type: "http", scheme: "bearer" } });
    assertEquals(document.servers, [{ url: "." }]);
    const text = JSON.stringify(document);
    for (const [, name] of text.matchAll(/"#\/components\/schemas\/(\w+)"/g)) {
      assert(Object.hasOwn(document.components.schemas, name!), name);
    }
  }
});

Deno.test("with keys the document says which routes need none, and needs none itself", async () => {
  const document = await documentOf(await toyApp(undefined, { apiKeys: [KEY] }));
  const open = Object.entries<Record<string, Operation>>(document.paths)
    .filter(([, { get }]) => get?.security.length === 0).map(([path]) => path);
  assertEquals(open, ["/v1/images/{name}", "/healthz", "/readyz", "/openapi.json"]);
});

Deno.test("what the server answers is what the document says", async () => {
  for (
    const { toy, subject } of [
      { toy: new ToyRenderer(), subject: { prompt: "sneaker" } },
      {
        toy: talkative({ prompts: { subject: "a", examples: ["a cat"], attributes: {} } }),
        subject: {
          prompt: "one two three four five six",
          prompt_2: "x",
          negative_prompt: "y",
          true_guidance_scale: 2,
        },
      },
    ]
  ) {
    const app = await toyApp([toy], { plans: PLANS });
    const expect = await expecter(app);
    const made = { ...subject, n: 2, size: "9x9", quality: "high" };
    await expect("POST /v1/images/generations", await ask(app, "/v1/images/generations", made));
    const url = { ...subject, response_format: "url" };
    await expect("POST /v1/images/generations", await ask(app, "/v1/images/generations", url));
    await expect("POST /v1/images/edits", await edit(app, subject));
    const decided = { ...subject, n: 2, policy: "first-block" };
    await expect("POST /v1/images/generations", await ask(app, "/v1/images/generations", decided));
    await expect("POST /v1/jobs", await ask(app, "/v1/jobs", decided), 202);
    const queued = await ask(app, "/v1/jobs", { ...subject, plan: "toy.fast" });
    const { id } = await expect("POST /v1/jobs", queued, 202);
    await expect("GET /v1/jobs/{id}", await app.request(`/v1/jobs/${id}`));
    await (await app.request(`/v1/jobs/${id}/events`)).text(); // until it has ended
    await expect("GET /v1/jobs/{id}", await app.request(`/v1/jobs/${id}`));
    toy.failure = BROKEN;
    const failed = await (await ask(app, "/v1/jobs", subject)).json();
    await (await app.request(`/v1/jobs/${failed.id}/events`)).text();
    await expect("GET /v1/jobs", await app.request("/v1/jobs?limit=2"));
    const gone = await app.request(`/v1/jobs/${id}`, { method: "DELETE" });
    await expect("DELETE /v1/jobs/{id}", gone);
    for (
      const path of ["/v1/models", "/v1/plans", "/v1/capabilities", "/healthz", "/openapi.json"]
    ) await expect(`GET ${path}`, await app.request(path));
    await expect("GET /readyz", await app.request("/readyz"));
    await expect("GET /v1/models/{id}", await app.request("/v1/models/toy"));
    await expect("GET /v1/plans/{id}", await app.request("/v1/plans/toy.fast"));
    await expect("GET /v1/jobs/{id}", await app.request("/v1/jobs/none"), "default");
    await expect("POST /v1/jobs", await ask(app, "/v1/jobs", { seed: "x" }), "default");
    for (const path of ["/v1/images/generations", "/v1/jobs"]) {
      const sent = async (seed: number): Promise<Response> =>
        await post(app, path, { ...subject, seed }, { headers: { "idempotency-key": path } });
      await (await sent(1)).body?.cancel();
      await expect(`POST ${path}`, await sent(2), 422);
    }
  }
});

Deno.test("the body that a viewer offers is one that the server takes", async () => {
  const app = await toyApp([talkative()]);
  const { paths } = await documentOf(app);
  for (const [path, status] of [["/v1/images/generations", 200], ["/v1/jobs", 202]] as const) {
    const { requestBody } = paths[path]!["post"]!;
    const { example } = requestBody!.content["application/json"]!;
    const response = await post(app, path, example);
    await response.body?.cancel();
    assertEquals(response.status, status, path);
  }
  await app.drain();
});

Deno.test("a schema of the document refuses what the server does not answer", async () => {
  const app = await toyApp();
  const { schemaOf } = checker(await documentOf(app));
  const health = schemaOf("GET /healthz", 200);
  assertEquals(
    [{ status: "ok" }, { status: "ill" }, {}, { status: "ok", more: 1 }].map((body) =>
      health.safeParse(body).success
    ),
    [true, false, false, false],
  );
});

Deno.test("every field of a body is described, and its parameters of a query are named", async () => {
  const { components: { schemas }, paths } = await documentOf(await toyApp());
  for (const name of ["images", "edits", "job"]) {
    const { properties } = schemas[name] as { readonly properties: Record<string, unknown> };
    for (const [field, schema] of Object.entries(properties)) {
      assert(String(Reflect.get(Object(schema), "description")).length > 5, `${name}.${field}`);
    }
  }
  const { parameters } = paths["/v1/jobs"]!["get"]!;
  assertEquals(parameters?.map((each) => `${each.in} ${each.name}`), [
    "query limit",
    "query after",
    "query state",
  ]);
});

Deno.test("headers that decide what a route does are named where they do, and described", async () => {
  const { paths } = await documentOf(await toyApp());
  const named = Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).flatMap(([method, { parameters = [] }]) =>
      parameters.filter((each) => each.in === "header").map(({ name, description, schema }) => {
        assert(description!.length > 5 && schema.type === "string", name);
        return `${method} ${path} ${name}`;
      })
    )
  );
  assertEquals(named, [
    "post /v1/images/generations Idempotency-Key",
    "post /v1/images/edits Idempotency-Key",
    "post /v1/jobs Idempotency-Key",
    "get /v1/jobs/{id}/events Last-Event-ID",
  ]);
});

interface Operation {
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly security: readonly Readonly<Record<string, unknown>>[];
  readonly parameters?: readonly {
    readonly in: string;
    readonly name: string;
    readonly description?: string;
    readonly schema: { readonly type?: string };
  }[];
  readonly requestBody?: {
    readonly content: Readonly<Record<string, { readonly example?: unknown }>>;
  };
  readonly responses: Readonly<
    Record<string, {
      readonly content: Readonly<Record<string, { readonly schema: Record<string, unknown> }>>;
    }>
  >;
}

interface OpenApi {
  readonly servers: readonly unknown[];
  readonly tags: readonly { readonly name: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: {
    readonly schemas: Record<string, z.core.JSONSchema.JSONSchema>;
    readonly securitySchemes: unknown;
  };
}

async function documentOf(app: App): Promise<OpenApi> {
  return await (await app.request("/openapi.json")).json();
}

/** Schemas of a document by route and status. */
function checker(
  document: OpenApi,
): { schemaOf(route: string, status: number | "default"): z.ZodType } {
  const local = <T>(value: T): T =>
    JSON.parse(JSON.stringify(value).replaceAll("#/components/schemas/", "#/$defs/"));
  return {
    schemaOf: (route, status) => {
      const [method = "", path = ""] = route.split(" ");
      const { responses } = document.paths[path]![method.toLowerCase()]!;
      const { schema } = responses[status]!.content["application/json"]!;
      return z.fromJSONSchema({ ...local(schema), $defs: local(document.components.schemas) });
    },
  };
}

async function expecter(
  app: App,
): Promise<
  (route: string, response: Response, status?: number | "default") => Promise<{ id: string }>
> {
  const { schemaOf } = checker(await documentOf(app));
  return async (route, response, status = 200) => {
    const body = await response.json();
    if (status !== "default") assertEquals(response.status, status, JSON.stringify(body));
    const parsed = schemaOf(route, status).safeParse(body);
    assert(parsed.success, `${route}: ${parsed.error?.message} in ${JSON.stringify(body)}`);
    return body;
  };
}

async function ask(app: App, path: string, body: unknown): Promise<Response> {
  return await post(app, path, body);
}

async function edit(app: App, subject: Readonly<Record<string, unknown>>): Promise<Response> {
  const { data: [{ b64_json }] } = await (await ask(app, "/v1/images/generations", subject)).json();
  const bytes = Uint8Array.from(atob(b64_json), (letter) => letter.charCodeAt(0));
  const form = new FormData();
  form.set("image", new File([bytes], "a.png", { type: "image/png" }));
  for (const [name, value] of Object.entries(subject)) form.set(name, `${value}`);
  return await app.request("/v1/images/edits", { method: "POST", body: form });
}
