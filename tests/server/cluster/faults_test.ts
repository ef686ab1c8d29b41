import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { Redis } from "ioredis";
import { BackendError } from "../../../src/errors.ts";
import { type App, createApp } from "../../../src/server/app.ts";
import { inspectQueue } from "../../../src/server/cluster/inspect.ts";
import { openBullQueue } from "../../../src/server/cluster/mod.ts";
import { capturedRun } from "../../cli/captured_run.ts";
import { parseEvents, post, ToyRenderer } from "../toy_renderer.ts";
import { RedisServer, WITHOUT_REDIS } from "./redis_fixture.ts";
import { eventually, isReady, sharedApp, SHORT_LEASE } from "./shared_server.ts";

const SNEAKER = { prompt: "sneaker", seed: 7, steps: 3 };
/** Connections end a moment after they were closed. */
const LOOSE = { ignore: WITHOUT_REDIS, sanitizeOps: false, sanitizeResources: false };

/** A server in a process of its own. */
class DrawingProcess {
  #told = "";
  readonly #child: Deno.ChildProcess;

  constructor(url: string, pause: number) {
    const script = new URL("drawing_process.ts", import.meta.url).pathname;
    const args = ["run", "-A", "--quiet", "--no-check", script, url, `${pause}`];
    this.#child = new Deno.Command(Deno.execPath(), { args, stdout: "piped" }).spawn();
    void this.#listen();
  }

  async #listen(): Promise<void> {
    for await (const text of this.#child.stdout.pipeThrough(new TextDecoderStream())) {
      this.#told += text;
    }
  }

  /** Waits for a line. */
  async tells(words: string): Promise<void> {
    await eventually(() => this.#told.includes(words));
  }

  async stop(signal: Deno.Signal): Promise<void> {
    this.#child.kill(signal);
    await this.#child.status;
  }
}

async function ended(app: App, id: string): Promise<Record<string, unknown>> {
  await (await app.request(`/v1/jobs/${id}/events`)).text();
  return await (await app.request(`/v1/jobs/${id}`)).json();
}

Deno.test({
  name:
    "a worker that is killed costs one lease: another draws what it had, once, with the same bits",
  ...LOOSE,
  async fn(): Promise<void> {
    await using redis = await RedisServer.start();
    const api = await sharedApp(redis.url);
    const lost = new DrawingProcess(redis.url, 100_000);
    await lost.tells("ready");
    await eventually(() => isReady(api));
    const { id } = await (await post(api, "/v1/jobs", SNEAKER)).json();
    await lost.tells("draws 7");
    await lost.stop("SIGKILL");
    const killed = Date.now();
    const toy = new ToyRenderer();
    const other = await sharedApp(redis.url, [toy]);
    const job = await ended(api, id);
    assertEquals([job["state"], toy.batches.length], ["completed", 1]);
    assert(
      Date.now() - killed < 5000,
      "a lease is a second, and lost ones are looked for twice a second",
    );
    const events = parseEvents(await (await api.request(`/v1/jobs/${id}/events`)).text());
    assertEquals(events.filter(({ event }) => event === "completed").length, 1);
    for (const app of [other, api]) await app.drain();
  },
});

Deno.test({
  name: "a worker that is told to stop hands back at once what it cannot end in time",
  ...LOOSE,
  async fn(): Promise<void> {
    await using redis = await RedisServer.start();
    const api = await sharedApp(redis.url);
    const leaving = new DrawingProcess(redis.url, 100_000);
    await leaving.tells("ready");
    await eventually(() => isReady(api));
    const { id } = await (await post(api, "/v1/jobs", SNEAKER)).json();
    await leaving.tells("draws 7");
    const other = await sharedApp(redis.url, [new ToyRenderer()]);
    const told = Date.now();
    await leaving.stop("SIGTERM");
    assertEquals((await ended(api, id))["state"], "completed");
    assert(Date.now() - told < 3000, "without waiting for its lease to end");
    for (const app of [other, api]) await app.drain();
  },
});

Deno.test({
  name: "a Redis that stops for a while loses nothing; meanwhile clients are told to come back",
  ...LOOSE,
  async fn(): Promise<void> {
    await using redis = await RedisServer.start("--appendonly", "yes", "--appendfsync", "always");
    const api = await sharedApp(redis.url);
    const toy = new ToyRenderer();
    const worker = await sharedApp(redis.url, [toy]);
    await eventually(() => isReady(api));
    toy.hold();
    const ids: string[] = [];
    for (let seed = 1; seed <= 3; seed++) {
      ids.push((await (await post(api, "/v1/jobs", { ...SNEAKER, seed })).json()).id);
    }
    await eventually(() => toy.drawing === 1);
    for (const signal of ["SIGTERM", "SIGKILL"] as const) {
      await redis.stop(signal);
      const refused = await post(api, "/v1/jobs", SNEAKER);
      assertEquals([refused.status, refused.headers.get("retry-after")], [503, "5"]);
      assertEquals((await refused.json()).error.code, "queue_unreachable");
      assertEquals(await isReady(api), false);
      await redis.start();
      await eventually(() => isReady(api));
    }
    toy.release();
    for (const id of ids) assertEquals((await ended(api, id))["state"], "completed");
    for (const app of [worker, api]) await app.drain();
  },
});

Deno.test({
  name: "a worker whose model was loaded while Redis was away begins when it is back",
  ...LOOSE,
  async fn(): Promise<void> {
    await using redis = await RedisServer.start();
    const api = await sharedApp(redis.url);
    const queue = await openBullQueue({ url: redis.url, lease: SHORT_LEASE });
    const { promise, resolve } = Promise.withResolvers<ToyRenderer[]>();
    const worker = createApp({ renderers: promise, plans: [], queue });
    await redis.stop();
    resolve([new ToyRenderer()]);
    await new Promise((resolve) => setTimeout(resolve, 300));
    await redis.start();
    await eventually(() => isReady(api));
    const { id } = await (await post(api, "/v1/jobs", SNEAKER)).json();
    assertEquals((await ended(api, id))["state"], "completed");
    for (const app of [worker, api]) await app.drain();
  },
});

Deno.test({
  name: "a queue that cannot be used is refused by name, without its password",
  ...LOOSE,
  async fn(): Promise<void> {
    await using redis = await RedisServer.start("--requirepass", "s3cret");
    const cases = [
      ["redis://127.0.0.1:1", "ECONNREFUSED"],
      [redis.url, "NOAUTH"],
      [redis.url.replace("//", "//:wr0ng@"), "WRONGPASS"],
    ];
    for (const [url, words] of cases) {
      const error = await assertRejects(() => openBullQueue({ url: url! }), BackendError);
      assertStringIncludes(error.message, words!);
      assert(!error.message.includes("wr0ng"), error.message);
    }
    const warnings: string[] = [];
    const url = redis.url.replace("//", "//:s3cret@");
    const queue = await openBullQueue({ url, onWarning: (sentence) => warnings.push(sentence) });
    assertEquals(queue.address, redis.url);
    assertStringIncludes(warnings.join(), "appendfsync always");
  },
});

Deno.test({
  name: "doctor says a queue's version and what would lose jobs, or why it cannot be used",
  ...LOOSE,
  async fn(): Promise<void> {
    await using redis = await RedisServer.start("--maxmemory-policy", "allkeys-lru");
    const said = await inspectQueue(redis.url);
    assertMatch(said, /^Redis \d+\.\d+\.\d+; .*allkeys-lru.*; .*appendfsync always/);
    const { stdout } = await capturedRun("doctor", "--queue", "redis://127.0.0.1:1");
    assertMatch(stdout, /queue +unusable: .*ECONNREFUSED/);
  },
});

Deno.test({
  name: "what another version wrote, and what has expired, is refused by name",
  ...LOOSE,
  async fn(): Promise<void> {
    await using redis = await RedisServer.start();
    const api = await sharedApp(redis.url);
    const toy = new ToyRenderer();
    const worker = await sharedApp(redis.url, [toy]);
    await eventually(() => isReady(api));
    const { id } = await (await post(api, "/v1/jobs", SNEAKER)).json();
    assertEquals((await ended(api, id))["state"], "completed");
    const client = new Redis(redis.url);
    await client.hset(`invardiff:task:${id}`, "version", 2);
    const strange = await api.request(`/v1/jobs/${id}`);
    assertEquals([strange.status, (await strange.json()).error.code], [503, "version_differs"]);
    await client.hset(`invardiff:task:${id}`, "version", 1);
    for (const key of await client.keys(`invardiff:task:${id}:picture:*`)) await client.del(key);
    const gone = await api.request(`/v1/jobs/${id}/image`);
    assertEquals([gone.status, (await gone.json()).error.code], [404, "result_expired"]);
    await client.del(`invardiff:task:${id}`);
    const missing = await api.request(`/v1/jobs/${id}`);
    assertEquals([missing.status, (await missing.json()).error.code], [404, "job_not_found"]);

    toy.hold();
    const running = await (await post(api, "/v1/jobs", SNEAKER)).json();
    await eventually(() => toy.drawing === 1);
    const waiting = await (await post(api, "/v1/jobs", SNEAKER)).json();
    await client.hset(`invardiff:task:${waiting.id}`, "version", 2);
    toy.release();
    assertEquals((await ended(api, running.id))["state"], "completed");
    await eventually(async () =>
      await client.hget(`invardiff:task:${waiting.id}`, "state") === "failed"
    );
    client.disconnect();
    for (const app of [worker, api]) await app.drain();
  },
});

Deno.test({
  name: "a job whose workers die one after the other is given up with a reason",
  ...LOOSE,
  async fn(): Promise<void> {
    await using redis = await RedisServer.start();
    const api = await sharedApp(redis.url);
    const toy = new ToyRenderer();
    const worker = await sharedApp(redis.url, [toy]);
    await eventually(() => isReady(api));
    toy.hold();
    const first = await (await post(api, "/v1/jobs", SNEAKER)).json();
    await eventually(() => toy.drawing === 1);
    const { id } = await (await post(api, "/v1/jobs", { ...SNEAKER, seed: 8 })).json();
    const client = new Redis(redis.url);
    await client.hset(`invardiff:task:${id}`, "attempts", 5); // as five that were lost left it
    client.disconnect();
    toy.release();
    assertEquals((await ended(api, first.id))["state"], "completed");
    const job = await ended(api, id);
    assertEquals([job["state"], (job["error"] as { code: string }).code], [
      "failed",
      "workers_lost",
    ]);
    for (const app of [worker, api]) await app.drain();
  },
});

Deno.test({
  name: "a key's first job waits for what is drawn, and for no other job of a busy key",
  ...LOOSE,
  async fn(): Promise<void> {
    await using redis = await RedisServer.start();
    const [busy, calm] = ["a-key-of-a-busy-client", "a-key-of-a-calm-client"];
    const limits = { queue: 300, batch: 1 };
    const options = { apiKeys: [busy, calm], limits };
    const toy = new ToyRenderer();
    const [api, worker] = [
      await sharedApp(redis.url, [], options),
      await sharedApp(redis.url, [toy], options),
    ];
    await eventually(() => isReady(api));
    toy.hold();
    const ask = async (key: string, seed: number): Promise<string> => {
      const headers = { authorization: `Bearer ${key}` };
      return (await (await post(api, "/v1/jobs", { ...SNEAKER, seed }, { headers })).json()).id;
    };
    for (let seed = 0; seed < 200; seed++) await ask(busy, seed);
    await eventually(() => toy.drawing === 1);
    const id = await ask(calm, 1000);
    toy.release();
    const headers = { authorization: `Bearer ${calm}` };
    await (await api.request(`/v1/jobs/${id}/events`, { headers })).text();
    const place = toy.batches.findIndex(({ pictures: [first] }) => first!.seed === 1000);
    assert(
      place >= 1 && place <= 2,
      `place ${place}: after the one that ran, and at most one more`,
    );
    const keys = new Redis(redis.url);
    const stored = JSON.stringify(await keys.keys("*"));
    assert(!stored.includes(busy) && !stored.includes(calm), "keys lie there as digests");
    keys.disconnect();
    for (const app of [worker, api]) await app.drain(AbortSignal.abort());
  },
});
