import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { openAddress } from "../../src/server/address.ts";
import type { AccessEntry } from "../../src/server/log_entries.ts";
import { routePath } from "../../src/server/routing.ts";
import { BROKEN, post, toyApp, ToyRenderer, until } from "./toy_renderer.ts";

Deno.test("slashes at the end or doubled find the route", async () => {
  const app = await toyApp();
  for (const path of ["/v1/models/", "//v1/models", "/v1//models//", "/v1/models/toy/"]) {
    const response = await app.request(`http://localhost${path}`);
    assertEquals(response.status, 200, path);
    await response.body?.cancel();
  }
  const made = await post(app, "/v1/images/generations/", { prompt: "sneaker" });
  assertEquals(made.status, 200);
});

Deno.test("routePath() has single slashes between parts, none at the end, and changes nothing else", () => {
  const part = fc.stringMatching(/^[\w.-]{1,8}$/).filter((text) => !/^\.+$/.test(text));
  const slashes = fc.integer({ min: 1, max: 3 }).map((count) => "/".repeat(count));
  const parts = fc.array(fc.tuple(slashes, part), { minLength: 1, maxLength: 5 });
  fc.assert(fc.property(parts, fc.boolean(), (parts, ends) => {
    const path = parts.flat().join("") + (ends ? "/" : "");
    const wanted = parts.map(([, name]) => `/${name}`).join("");
    assertEquals(routePath(new Request(`http://a${path}?q=//x/`)), wanted);
  }));
  assertEquals(routePath(new Request("http://a/")), "/");
  assertEquals(routePath(new Request("http://a//")), "/");
});

Deno.test("a method that a path does not have is 405, and Allow names those that it has", async () => {
  const app = await toyApp();
  for (
    const [method, path, allow] of [
      ["GET", "/v1/images/generations", "POST"],
      ["PUT", "/v1/jobs/x/", "GET, HEAD, DELETE"],
      ["POST", "/v1/models", "GET, HEAD"],
      ["DELETE", "/v1/images/x.png", "GET, HEAD"],
      ["POST", "/page/main.js", "GET, HEAD"],
      ["POST", "/", "GET, HEAD"],
    ] as const
  ) {
    const response = await app.request(path, { method });
    const { error } = await response.json();
    assertEquals([response.status, error.code], [405, "method_not_allowed"], path);
    assertEquals(response.headers.get("allow"), allow);
  }
  const keyed = await toyApp([new ToyRenderer()], { apiKeys: ["a-key-of-sixteen-letters"] });
  const response = await keyed.request("/v1/images/generations");
  assertEquals(response.status, 401); // no one without a key learns which routes there are
  await response.body?.cancel();
});

Deno.test("a compressed body is 415, and what would be read is said", async () => {
  const app = await toyApp();
  const body = new Blob(['{"prompt":"sneaker"}']).stream().pipeThrough(
    new CompressionStream("gzip"),
  );
  const response = await app.request("/v1/images/generations", {
    method: "POST",
    headers: { "content-type": "application/json", "content-encoding": "gzip" },
    body: await new Response(body).bytes(),
  });
  const { error } = await response.json();
  assertEquals([response.status, error.code], [415, "unsupported_encoding"]);
  assertEquals(response.headers.get("accept-encoding"), "identity");
  const plain = { headers: { "content-encoding": "identity" } };
  assertEquals((await post(app, "/v1/images/generations", { label: 0 }, plain)).status, 200);
});

Deno.test("HEAD has the headers of GET, the length too, and no body", async () => {
  const app = await toyApp();
  const job = await (await post(app, "/v1/jobs", { label: 0 })).json();
  const paths = ["/", "/page/main.js", "/healthz", "/v1/models", `/v1/jobs/${job.id}`];
  for (const path of paths) {
    const got = await app.request(path);
    const length = (await got.bytes()).length;
    const head = await app.request(path, { method: "HEAD" });
    assertEquals([head.status, head.headers.get("content-length")], [200, `${length}`], path);
    assertEquals(head.headers.get("content-type"), got.headers.get("content-type"));
    assertEquals(head.body, null);
  }
  const events = await app.request(`/v1/jobs/${job.id}/events`, { method: "HEAD" });
  assertEquals([events.status, events.headers.get("content-length")], [200, null]);
});

Deno.test("HEAD says its length over a connection too", async () => {
  const app = await toyApp();
  const address = await openAddress("127.0.0.1", 0);
  address.answer(app.fetch);
  try {
    const url = `${address.url}healthz`;
    const head = await fetch(url, { method: "HEAD" });
    assertEquals(
      head.headers.get("content-length"),
      `${(await (await fetch(url)).bytes()).length}`,
    );
  } finally {
    await address.close();
  }
});

Deno.test("browsers are not told to ask for HTTPS by a server that has none", async () => {
  const response = await (await toyApp()).request("/healthz");
  assertEquals(response.headers.get("strict-transport-security"), null);
});

Deno.test("a client that leaves and a shutdown are no errors; a broken device is one", async () => {
  const entries: AccessEntry[] = [];
  const errors: unknown[] = [];
  const toy = new ToyRenderer();
  const app = await toyApp([toy], {
    limits: { queue: 1 },
    log: (entry) => void entries.push(entry),
    onError: (error) => void errors.push(error),
  });
  const ask = (signal?: AbortSignal): Promise<Response> =>
    post(app, "/v1/images/generations", { label: 0 }, signal === undefined ? {} : { signal });
  toy.failure = BROKEN;
  assertEquals((await ask()).status, 503);
  assertEquals(errors, [BROKEN]);
  toy.hold();
  const gone = new AbortController();
  const left = ask(gone.signal);
  await until(() => toy.drawing === 1);
  gone.abort();
  await left;
  await until(() => toy.drawing === 0);
  const begun = ask();
  await until(() => toy.drawing === 1);
  await app.drain(AbortSignal.abort());
  const { error } = await (await begun).json();
  assertEquals(error.message, "Cannot complete the job: the server is shutting down");
  assertEquals((await ask()).status, 503);
  assertEquals(entries.map(({ status }) => status), [503, 499, 503, 503]);
  assert(errors.length === 1, `${errors}`);
});
