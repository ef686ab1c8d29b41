import { assertEquals, assertNotEquals } from "@std/assert";
import type { App } from "../../src/server/app.ts";
import { parseEvents, post, toyApp, ToyRenderer, until } from "./toy_renderer.ts";

const KEYS = ["a-key-of-the-first-client", "a-key-of-the-second-client"];
const again = (key: string, owner?: string): RequestInit => ({
  headers: {
    "idempotency-key": key,
    ...(owner !== undefined && { authorization: `Bearer ${owner}` }),
  },
});
const idOf = async (app: App, body: unknown, init: RequestInit): Promise<string> =>
  (await (await post(app, "/v1/jobs", body, init)).json()).id;

Deno.test("a request that is sent again with its key gets its first job, seed and all; another its own", async () => {
  const toy = new ToyRenderer();
  const app = await toyApp([toy], { apiKeys: KEYS });
  const body = { label: 1 };
  const first = await idOf(app, body, again("order-1", KEYS[0]));
  assertEquals(await idOf(app, body, again("order-1", KEYS[0])), first);
  for (const [key, owner] of [["order-2", KEYS[0]], ["order-1", KEYS[1]]]) {
    assertNotEquals(await idOf(app, body, again(key!, owner)), first);
  }
  const other = await post(app, "/v1/jobs", { label: 2 }, again("order-1", KEYS[0]));
  assertEquals([other.status, (await other.json()).error.code], [422, "idempotency_key_reused"]);
  const long = await post(app, "/v1/jobs", body, again("x".repeat(256), KEYS[0]));
  assertEquals([long.status, (await long.json()).error.param], [400, "Idempotency-Key"]);
  await app.drain();
  assertEquals(toy.batches.flatMap(({ pictures }) => pictures).length, 3);
});

Deno.test("a client that lost its connection gets what it had asked for, drawn once, as a stream too", async () => {
  const toy = new ToyRenderer();
  const app = await toyApp([toy]);
  const path = "/v1/images/generations";
  toy.hold();
  const gone = new AbortController();
  const lost = post(app, path, { label: 1 }, { ...again("a"), signal: gone.signal });
  await until(() => toy.drawing === 1);
  gone.abort();
  assertEquals((await lost).status, 499);
  const asked = post(app, path, { label: 1 }, again("a"));
  toy.release();
  const { data: [{ seed, b64_json }] } = await (await asked).json();
  const { data: [second] } = await (await post(app, path, { label: 1 }, again("a"))).json();
  assertEquals([second.seed, second.b64_json === b64_json], [seed, true]);
  assertEquals(toy.batches.length, 1);

  const stream = { label: 1, stream: true, partial_images: 1 };
  const streams: string[][] = [];
  for (let time = 0; time < 2; time++) {
    const events = parseEvents(await (await post(app, path, stream, again("b"))).text());
    streams.push(events.map(({ event, data }) => `${event} ${data["seed"]}`));
  }
  assertEquals(streams[1], streams[0]);
  assertEquals(toy.batches.length, 2);
  await app.drain();
});

Deno.test("what was cancelled stays so, and who asks for it again is told", async () => {
  const toy = new ToyRenderer();
  const app = await toyApp([toy]);
  toy.hold();
  const id = await idOf(app, { label: 1 }, again("a"));
  await (await app.request(`/v1/jobs/${id}`, { method: "DELETE" })).body?.cancel();
  const { state } = await (await post(app, "/v1/jobs", { label: 1 }, again("a"))).json();
  assertEquals(state, "cancelled");
  toy.release();
  await app.drain();
});
