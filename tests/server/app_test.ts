import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { AssetError } from "../../src/errors.ts";
import { type App, createApp } from "../../src/server/app.ts";
import { rateOf } from "../../src/server/rates.ts";
import { VERSION } from "../../src/version.ts";
import type { AccessEntry } from "../../src/server/log_entries.ts";
import { examplePlan } from "../plan/example_plans.ts";
import { BROKEN, parseEvents, post, talkative, toyApp, ToyRenderer } from "./toy_renderer.ts";

const KEYS = ["key-of-the-first-client", "key-of-the-second-client"];

Deno.test("every answer has a request id and secure headers, and the log a line", async () => {
  const entries: AccessEntry[] = [];
  const app = await toyApp([new ToyRenderer()], { log: (entry) => void entries.push(entry) });
  const response = await app.request("/healthz?x=1");
  assertEquals(await response.json(), { status: "ok" });
  assertMatch(response.headers.get("x-request-id") ?? "", /^[\w-]{36}$/);
  assertEquals(response.headers.get("x-content-type-options"), "nosniff");
  const [{ id, method, path, status }] = entries as [AccessEntry];
  assertEquals([id, method, path, status], [
    response.headers.get("x-request-id"),
    "GET",
    "/healthz",
    200,
  ]);
  const named = await app.request("/healthz", { headers: { "x-request-id": "mine-1" } });
  assertEquals(named.headers.get("x-request-id"), "mine-1");
});

Deno.test("what is not there is a 404 with the envelope of all errors", async () => {
  const app = await toyApp();
  for (
    const [path, code] of Object.entries({
      "/nothing": "not_found",
      "/v1/models/other": "model_not_found",
      "/v1/plans/other": "plan_not_found",
      "/v1/plans/..%2f..%2fdeno.json": "plan_not_found",
      "/v1/models/..%2f..%2fdeno.json": "model_not_found",
      "/v1/jobs/00000000-0000-0000-0000-000000000000": "job_not_found",
      "/v1/images/..%2f..%2fdeno.json": "image_not_found",
    })
  ) {
    const response = await app.request(path);
    const { error } = await response.json();
    assertEquals([response.status, error.code], [404, code], path);
    assertEquals(error.type, "invalid_request_error");
    assertEquals(typeof error.message, "string");
  }
});

Deno.test("while models load, and when they cannot, it says so and health answers", async () => {
  const { promise, resolve } = Promise.withResolvers<ToyRenderer[]>();
  const app = createApp({ renderers: promise, plans: [] });
  assertEquals((await app.request("/healthz")).status, 200);
  assertEquals(await statusAndBody(app, "/readyz"), [503, { status: "loading" }]);
  const early = await post(app, "/v1/images/generations", { prompt: "sneaker" });
  assertEquals([early.status, (await early.json()).error.code], [503, "model_loading"]);
  assertEquals(early.headers.get("retry-after"), "2");
  resolve([new ToyRenderer()]);
  await app.loaded;
  assertEquals(await statusAndBody(app, "/readyz"), [200, { status: "ready" }]);

  const without = createApp({ renderers: Promise.reject(new AssetError("Cannot read /a/path")) });
  await without.loaded;
  assertEquals(await statusAndBody(without, "/readyz"), [503, { status: "failed" }]);
  const { error } = await (await without.request("/v1/models")).json();
  assertEquals(error.code, "model_failed");
  assert(!error.message.includes("/a/path"), "files of the machine are not told");
});

Deno.test("when it is to stop, it is not ready, takes nothing new and ends what it has", async () => {
  const toy = new ToyRenderer();
  const app = await toyApp([toy]);
  toy.hold();
  const begun = post(app, "/v1/images/generations", { prompt: "sneaker" });
  while (toy.drawing === 0) await new Promise((resolve) => setTimeout(resolve, 0));
  const drained = app.drain();
  assertEquals(await statusAndBody(app, "/readyz"), [503, { status: "draining" }]);
  assertEquals((await post(app, "/v1/jobs", { prompt: "sneaker" })).status, 503);
  toy.release();
  assertEquals((await begun).status, 200);
  await drained;
});

Deno.test("with keys, only health, the API's description and pictures behind URLs answer without one", async () => {
  const app = await toyApp([new ToyRenderer()], { apiKeys: KEYS });
  const open = ["/healthz", "/readyz", "/openapi.json"];
  const closed = ["/v1/models", "/v1/capabilities", "/metrics", "/v1/jobs", "/v1/jobs/x"];
  for (const path of open) assertEquals((await app.request(path)).status, 200, path);
  for (const path of closed) {
    for (
      const headers of [
        {},
        { authorization: "Bearer wrong-key-of-nobody" },
        { authorization: `Basic ${KEYS[0]}` },
        { authorization: `Bearer ${KEYS[0]!.slice(1)}` },
      ] as Record<string, string>[]
    ) {
      const response = await app.request(path, { headers });
      const { error } = await response.json();
      assertEquals([response.status, error.type], [401, "authentication_error"], path);
      assertStringIncludes(response.headers.get("www-authenticate") ?? "", "Bearer");
    }
  }
  for (const key of KEYS) {
    const headers = { authorization: `Bearer ${key}` };
    assertEquals((await app.request("/v1/models", { headers })).status, 200);
    const body = { prompt: "sneaker", response_format: "url" };
    const made = await post(app, "/v1/images/generations", body, { headers });
    const { data: [{ url }] } = await made.json();
    const image = await app.request(url);
    assertEquals([image.status, image.headers.get("content-type")], [200, "image/png"]);
    await image.body?.cancel();
  }
});

Deno.test("a key may ask for pictures so often, another as often again, and look as often as it likes", async () => {
  const app = await toyApp([new ToyRenderer()], {
    apiKeys: KEYS,
    rateLimit: { perMinute: 1, burst: 2 },
  });
  const ask = async (key: string): Promise<Response> => {
    const headers = { authorization: `Bearer ${key}` };
    assertEquals((await app.request("/v1/models", { headers })).status, 200);
    return await post(app, "/v1/images/generations", { label: 0 }, { headers });
  };
  const statuses = [
    await ask(KEYS[0]!),
    await ask(KEYS[0]!),
    await ask(KEYS[0]!),
    await ask(KEYS[1]!),
  ];
  assertEquals(statuses.map(({ status }) => status), [200, 200, 429, 200]);
  assertEquals(statuses[2]!.headers.get("retry-after"), "60");
  assertEquals((await statuses[2]!.json()).error.code, "rate_limit_exceeded");
});

Deno.test("no limit is below what the page asks for at one press, or a request may hold", async () => {
  const letter = JSON.stringify("\u0001".repeat(32_000)); // six bytes each
  const body = `{"prompt":${letter},"prompt_2":${letter},"negative_prompt":${letter}}`;
  const app = await toyApp([talkative()], { rateLimit: rateOf(1) });
  const asked = Array.from({ length: 16 }, () => {
    const headers = { "content-type": "application/json" };
    return app.request("/v1/jobs", { method: "POST", headers, body });
  });
  const statuses = (await Promise.all(asked)).map(({ status }) => status);
  assertEquals(statuses, Array.from({ length: 16 }, () => 202));
  await app.drain();
});

Deno.test("a server that takes few steps tells them, and who asks for none gets no more", async () => {
  const app = await toyApp([new ToyRenderer()], { limits: { steps: 3 } });
  const { data: [model] } = await (await app.request("/v1/models")).json();
  assertEquals(model.sampler.steps, 3); // the toy's own are four
  const made = await post(app, "/v1/images/generations", { label: 0 });
  assertEquals([made.status, (await made.json()).steps], [200, 3]);
  const few = {
    limits: { steps: 2 },
    plans: [{ name: "toy.3x", plan: examplePlan(["..", "=", ".."]) }],
  };
  const { data } = await (await (await toyApp(undefined, few)).request("/v1/plans")).json();
  assertEquals(data, []);
});

Deno.test("a key has one rate, however the header is written", async () => {
  const app = await toyApp([new ToyRenderer()], {
    apiKeys: KEYS,
    rateLimit: { perMinute: 1, burst: 1 },
  });
  const written = [`Bearer ${KEYS[0]}`, `bearer ${KEYS[0]}`, `Bearer   ${KEYS[0]}`];
  const statuses: number[] = [];
  for (const authorization of written) {
    const headers = { authorization };
    statuses.push((await post(app, "/v1/images/generations", { label: 0 }, { headers })).status);
  }
  assertEquals(statuses, [200, 429, 429]);
});

Deno.test("a server that knows its names answers to those, to addresses and to localhost alone", async () => {
  const app = await toyApp([new ToyRenderer()], { hosts: ["draw.example"] });
  for (
    const [host, status] of [
      ["localhost", 200],
      ["app.localhost", 200],
      ["127.0.0.1:8000", 200],
      ["[::1]:8000", 200],
      ["draw.example", 200],
      ["DRAW.example:8000", 200],
      ["rebound.example", 421],
      ["127.0.0.1.rebound.example", 421],
      ["localhost.rebound.example", 421],
      ["notlocalhost", 421],
    ] as const
  ) {
    const response = await app.request(`http://${host}/healthz`);
    await response.body?.cancel();
    assertEquals(response.status, status, host);
  }
});

Deno.test("where there are no keys all clients have one rate, whatever keys they make up", async () => {
  const app = await toyApp([new ToyRenderer()], { rateLimit: { perMinute: 1, burst: 2 } });
  const ask = async (key: string): Promise<number> => {
    const headers = { authorization: `Bearer ${key}` };
    return (await post(app, "/v1/images/generations", { label: 0 }, { headers })).status;
  };
  assertEquals([await ask("a"), await ask("b"), await ask("c")], [200, 200, 429]);
});

Deno.test("only pages of the listed origins may ask", async () => {
  const app = await toyApp([new ToyRenderer()], { corsOrigins: ["https://a.example"] });
  const preflight = async (origin: string): Promise<string | null> =>
    (await app.request("/v1/images/generations", {
      method: "OPTIONS",
      headers: { origin, "access-control-request-method": "POST" },
    })).headers.get("access-control-allow-origin");
  assertEquals(await preflight("https://a.example"), "https://a.example");
  assertEquals(await preflight("https://b.example"), null);
  const response = await app.request("/healthz", { headers: { origin: "https://a.example" } });
  const readable = response.headers.get("access-control-expose-headers") ?? "";
  for (const name of ["retry-after", "x-request-id", "location"]) {
    assert(readable.includes(name), name);
  }
});

Deno.test("without jobs their routes are 501 and no capability", async () => {
  const heard: unknown[] = [];
  const onError = (error: unknown): void => void heard.push(error);
  const app = await toyApp([new ToyRenderer()], { jobs: false, onError });
  const response = await post(app, "/v1/jobs", { prompt: "sneaker" });
  assertEquals([response.status, (await response.json()).error.code], [501, "not_implemented"]);
  assertEquals((await app.request("/v1/jobs/x/events")).status, 501);
  assertEquals(heard, []); // that is how the server is meant to be, not a fault of its
  const { routes } = await (await app.request("/v1/capabilities")).json();
  assert(!routes.some((route: string) => route.includes("/v1/jobs")));
  const { paths } = await (await app.request("/openapi.json")).json();
  assert(!Object.keys(paths).some((path) => path.startsWith("/v1/jobs")));
});

Deno.test("every route of the capabilities and of the OpenAPI document answers", async () => {
  const app = await toyApp();
  const { routes } = await (await app.request("/v1/capabilities")).json();
  const { paths } = await (await app.request("/openapi.json")).json();
  assertEquals(routes.length, Object.values<object>(paths).flatMap(Object.keys).length);
  for (const route of routes) {
    const [method, path] = route.split(" ");
    const response = await app.request(path.replace(/:\w+/, "x"), { method });
    const text = await response.text();
    assert(!text.includes("there is no such route"), `${route}: ${text}`);
    assert(response.status < 500, `${route}: ${response.status}`);
  }
});

Deno.test("a public URL keeps its path in the URLs of pictures, of jobs and of the OpenAPI document", async () => {
  for (const publicUrl of ["https://x.example/draw/", "https://x.example/draw"]) {
    const app = await toyApp([new ToyRenderer()], { publicUrl });
    const body = { label: 0, response_format: "url" };
    const { data: [{ url }] } = await (await post(app, "/v1/images/generations", body)).json();
    assertMatch(url, /^https:\/\/x\.example\/draw\/v1\/images\/[\w-]{36}\.png$/);
    const asked = await post(app, "/v1/jobs", { label: 0 });
    const { id } = await asked.json();
    assertEquals(asked.headers.get("location"), `/draw/v1/jobs/${id}`);
    const events = parseEvents(await (await app.request(`/v1/jobs/${id}/events`)).text());
    const told = await (await app.request(`/v1/jobs/${id}`)).json();
    assertEquals(told.images[0].url, `/draw/v1/jobs/${id}/image?index=0`);
    assertEquals(events.at(-1)?.data, told);
    const { servers } = await (await app.request("/openapi.json")).json();
    assertEquals(servers, [{ url: "https://x.example/draw" }]);
  }
});

Deno.test("an error of ours is told to the operator, not to the client", async () => {
  const told: unknown[] = [];
  const toy = new ToyRenderer();
  const app = await toyApp([toy], { onError: (error) => void told.push(error) });
  const bug = new TypeError("undefined is not a function at /a/path");
  toy.failure = bug;
  const response = await post(app, "/v1/images/generations", { prompt: "sneaker" });
  const { error } = await response.json();
  assertEquals([response.status, error.code, error.type], [500, "internal_error", "server_error"]);
  assert(!error.message.includes("path"));
  assertEquals(told, [bug]);
  toy.failure = BROKEN;
  const broken = await post(app, "/v1/images/generations", { prompt: "sneaker" });
  assertEquals([broken.status, (await broken.json()).error.code], [503, "backend_failed"]);
  assertEquals((await post(app, "/v1/images/generations", { prompt: "sneaker" })).status, 200);
});

Deno.test("metrics count requests, jobs, steps and modules", async () => {
  const app = await toyApp();
  await post(app, "/v1/images/generations", { prompt: "sneaker", n: 2 });
  await app.request("/nothing");
  const response = await app.request("/metrics");
  assertEquals(
    response.headers.get("content-type"),
    "text/plain; version=0.0.4; charset=utf-8",
  );
  const text = await response.text();
  for (
    const line of [
      'invardiff_http_requests_total{method="POST",route="/v1/images/generations",status="200"} 1',
      'invardiff_jobs_total{state="completed"} 1',
      "invardiff_pictures_total 2",
      'invardiff_steps_total{kind="full"} 4',
      'invardiff_modules_total{action="run"} 12',
      'invardiff_modules_total{action="reused"} 0',
      "invardiff_queue_depth 0",
      "invardiff_jobs_running 0",
      "invardiff_renderers 1",
      "invardiff_live_feature_bytes 0",
      "invardiff_live_device_values 0",
      "invardiff_live_sessions 1",
      'invardiff_job_duration_seconds_bucket{le="+Inf"} 1',
      `invardiff_build_info{version="${VERSION}",runtime="deno"} 1`,
      'invardiff_step_duration_seconds_bucket{kind="full",le="0.005"} 0',
      'invardiff_step_duration_seconds_count{kind="full"} 4',
    ]
  ) assertStringIncludes(text, `\n${line}\n`);
  const latency = "invardiff_http_request_duration_seconds_count";
  assertStringIncludes(text, `\n${latency}{method="POST",route="/v1/images/generations"} 1\n`);
  const names = [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name!);
  assertEquals(names.filter((name) => !/^(?:invardiff|process)_/.test(name)), []);
  assertEquals(new Set(names).size, names.length);
});

Deno.test("what a client makes up does not become a series of the metrics", async () => {
  const app = await toyApp();
  for (const path of ["/a", "/b", "/v1/models/c", "/page/d.js"]) await app.request(path);
  for (const method of ["BREW", "PROPFIND"]) await app.request("/healthz", { method });
  const text = await (await app.request("/metrics")).text();
  const series = [...text.matchAll(/^invardiff_http_requests_total\{(.*)\} \d+$/gm)];
  assertEquals(series.map(([, labels]) => labels).toSorted(), [
    'method="GET",route="/*",status="404"',
    'method="GET",route="/page/*",status="404"',
    'method="GET",route="/v1/models/:id",status="404"',
    'method="other",route="/*",status="405"',
  ]);
});

async function statusAndBody(app: App, path: string): Promise<[number, unknown]> {
  const response = await app.request(path);
  return [response.status, await response.json()];
}
