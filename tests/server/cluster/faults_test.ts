import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { BackendError } from "../../../src/errors.ts";
import { createApp } from "../../../src/server/app.ts";
import { inspectQueue, openQueueAt } from "../../../src/server/cluster/queue_at.ts";
import { capturedRun } from "../../cli/captured_run.ts";
import { parseEvents, post, ToyRenderer } from "../toy_renderer.ts";
import { DrawingProcess } from "./drawing.ts";
import { overStores, WITH_REDIS, withPassword } from "./stores.ts";
import { RedisServer } from "./redis_fixture.ts";
import {
  addJob,
  ended,
  eventually,
  isReady,
  sharedApp,
  SHORT_LEASE,
  withServers,
} from "./shared_server.ts";

const SNEAKER = { prompt: "sneaker", seed: 7, steps: 3 };

overStores(
  "a worker that is killed costs one lease: another draws what it had, once, with the same bits",
  async (kind) => {
    await using store = await kind.start();
    const api = await sharedApp(store.url);
    const lost = new DrawingProcess(store.url, 100_000);
    await lost.tells(/ready/);
    await eventually(() => isReady(api));
    const id = await addJob(api, SNEAKER);
    await lost.tells(/draws 7/);
    await lost.stop("SIGKILL");
    const killed = Date.now();
    const toy = new ToyRenderer();
    const other = await sharedApp(store.url, [toy]);
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
);

overStores(
  "a worker that is told to stop hands back at once what it cannot end in time",
  async (kind) => {
    await using store = await kind.start();
    const api = await sharedApp(store.url);
    const leaving = new DrawingProcess(store.url, 100_000);
    await leaving.tells(/ready/);
    await eventually(() => isReady(api));
    const id = await addJob(api, SNEAKER);
    await leaving.tells(/draws 7/);
    const other = await sharedApp(store.url, [new ToyRenderer()]);
    const told = Date.now();
    await leaving.stop("SIGTERM");
    assertEquals((await ended(api, id))["state"], "completed");
    assert(Date.now() - told < 3000, "without waiting for its lease to end");
    for (const app of [other, api]) await app.drain();
  },
);

overStores(
  "a store that stops for a while loses nothing; meanwhile clients are told to come back",
  async (kind) => {
    await withServers(kind, async ({ store, api, toy }) => {
      toy.hold();
      const ids: string[] = [];
      for (let seed = 1; seed <= 3; seed++) {
        ids.push(await addJob(api, { ...SNEAKER, seed }));
      }
      await eventually(() => toy.drawing === 1);
      for (const signal of ["SIGTERM", "SIGKILL"] as const) {
        await store.stop(signal);
        const refused = await post(api, "/v1/jobs", SNEAKER);
        assertEquals([refused.status, refused.headers.get("retry-after")], [503, "5"]);
        assertEquals((await refused.json()).error.code, "queue_unreachable");
        assertEquals(await isReady(api), false);
        await store.start();
        await eventually(() => isReady(api));
      }
      toy.release();
      for (const id of ids) assertEquals((await ended(api, id))["state"], "completed");
    }, { durable: true });
  },
);

overStores(
  "a worker whose model was loaded while the store was away begins when it is back",
  async (kind) => {
    await using store = await kind.start();
    const api = await sharedApp(store.url);
    const queue = await openQueueAt({ url: store.url, lease: SHORT_LEASE });
    const { promise, resolve } = Promise.withResolvers<ToyRenderer[]>();
    const worker = createApp({ renderers: promise, plans: [], queue });
    await store.stop();
    resolve([new ToyRenderer()]);
    await new Promise((resolve) => setTimeout(resolve, 300));
    await store.start();
    await eventually(() => isReady(api));
    const id = await addJob(api, SNEAKER);
    assertEquals((await ended(api, id))["state"], "completed");
    for (const app of [worker, api]) await app.drain();
  },
);

overStores(
  "a worker that is told to stop while the store is away waits for it no longer than it was given",
  async (kind) => {
    await using store = await kind.start({ durable: true });
    const api = await sharedApp(store.url);
    const toy = new ToyRenderer();
    toy.hold();
    const leaving = await sharedApp(store.url, [toy]);
    await eventually(() => isReady(api));
    const id = await addJob(api, SNEAKER);
    await eventually(() => toy.drawing === 1);
    await store.stop();
    const told = Date.now();
    await leaving.drain(AbortSignal.timeout(100));
    assert(Date.now() - told < 5000, `${Date.now() - told} ms`);
    assertEquals(toy.drawing, 0);
    await store.start();
    const other = await sharedApp(store.url, [new ToyRenderer()]);
    assertEquals((await ended(api, id))["state"], "completed");
    for (const app of [other, api]) await app.drain();
  },
);

overStores("a queue that cannot be used is refused by name, without its password", async (kind) => {
  await using store = await kind.start({ password: "s3cret" });
  const { unreachable, withoutPassword, wrongPassword } = kind.refusals;
  const cases = [
    [kind.nobody, unreachable],
    [store.url, withoutPassword],
    [withPassword(store.url, "wr0ng"), wrongPassword],
  ] as const;
  for (const [url, words] of cases) {
    const error = await assertRejects(() => openQueueAt({ url }), BackendError);
    assertStringIncludes(error.message, words);
    assert(!error.message.includes("wr0ng"), error.message);
  }
  const warnings: string[] = [];
  const url = withPassword(store.url, "s3cret");
  const queue = await openQueueAt({ url, onWarning: (sentence) => warnings.push(sentence) });
  assertEquals(queue.address, store.url.replace(/\w+@/, ""));
  assertStringIncludes(warnings.join(), kind.warning);
});

overStores(
  "doctor says a queue's version and what would lose jobs, or why it cannot be used",
  async (kind) => {
    await using store = await kind.start();
    assertMatch(
      await inspectQueue(store.url),
      new RegExp(`^${kind.name} \\d+\\.\\d+.*; .*${kind.warning}`),
    );
    const { stdout } = await capturedRun("doctor", "--queue", kind.nobody);
    assertMatch(stdout, new RegExp(`queue +unusable: .*${kind.refusals.unreachable}`));
  },
);

Deno.test({
  name: "doctor says when Redis may throw jobs away",
  ...WITH_REDIS,
  async fn(): Promise<void> {
    await using redis = await RedisServer.start("--maxmemory-policy", "allkeys-lru");
    assertMatch(await inspectQueue(redis.url), /^Redis \d+\.\d+\.\d+; .*allkeys-lru.*; /);
  },
});

overStores("what another version wrote, and what has expired, is refused by name", async (kind) => {
  await withServers(kind, async ({ store, api, toy }) => {
    const id = await addJob(api, SNEAKER);
    assertEquals((await ended(api, id))["state"], "completed");
    await store.setField(id, "version", 2);
    const strange = await api.request(`/v1/jobs/${id}`);
    assertEquals([strange.status, (await strange.json()).error.code], [503, "version_differs"]);
    const { data } = await (await api.request("/v1/jobs")).json();
    const { error, ...listed } = data[0];
    assertEquals(listed, { id, object: "job", state: "completed" });
    assertEquals(error.code, "version_differs");
    const next = await addJob(api, { ...SNEAKER, seed: 8 });
    assertEquals((await ended(api, next))["state"], "completed");
    const page = await (await api.request("/v1/jobs?limit=1")).json();
    assertEquals([page.last_id, page.has_more], [next, true]);
    const rest = await (await api.request(`/v1/jobs?limit=1&after=${next}`)).json();
    assertEquals([rest.last_id, rest.has_more], [id, false]);
    const end = await (await api.request(`/v1/jobs?after=${id}`)).json();
    assertEquals([end.data, end.has_more], [[], false]);
    const open = await (await api.request("/v1/jobs?state=queued")).json();
    assertEquals(open.data, []);
    await store.setField(id, "version", 1);
    await store.forgetKept(`task:${id}:picture:`);
    const gone = await api.request(`/v1/jobs/${id}/image`);
    assertEquals([gone.status, (await gone.json()).error.code], [404, "result_expired"]);
    await store.forgetTask(id);
    const missing = await api.request(`/v1/jobs/${id}`);
    assertEquals([missing.status, (await missing.json()).error.code], [404, "job_not_found"]);

    toy.hold();
    const running = await addJob(api, SNEAKER);
    await eventually(() => toy.drawing === 1);
    const waiting = await addJob(api, SNEAKER);
    await store.setField(waiting, "version", 2);
    toy.release();
    assertEquals((await ended(api, running))["state"], "completed");
    await eventually(async () => await store.field(waiting, "state") === "failed");
  });
});

overStores(
  "a job whose workers die one after the other is given up with a reason",
  async (kind) => {
    await withServers(kind, async ({ store, api, toy }) => {
      toy.hold();
      const first = await addJob(api, SNEAKER);
      await eventually(() => toy.drawing === 1);
      const id = await addJob(api, { ...SNEAKER, seed: 8 });
      await store.setField(id, "attempts", 5); // as five that were lost left it
      toy.release();
      assertEquals((await ended(api, first))["state"], "completed");
      const job = await ended(api, id);
      assertEquals([job["state"], (job["error"] as { code: string }).code], [
        "failed",
        "workers_lost",
      ]);
    });
  },
);

overStores(
  "a key's first job waits for what is drawn, and for no other job of a busy key",
  async (kind) => {
    const [busy, calm] = ["a-key-of-a-busy-client", "a-key-of-a-calm-client"];
    await withServers(kind, async ({ store, api, toy }) => {
      toy.hold();
      for (let seed = 0; seed < 200; seed++) await addJob(api, { ...SNEAKER, seed }, busy);
      await eventually(() => toy.drawing === 1);
      const id = await addJob(api, { ...SNEAKER, seed: 1000 }, calm);
      toy.release();
      const headers = { authorization: `Bearer ${calm}` };
      await (await api.request(`/v1/jobs/${id}/events`, { headers })).text();
      const place = toy.batches.findIndex(({ pictures: [first] }) => first!.seed === 1000);
      assert(
        place >= 1 && place <= 2,
        `place ${place}: after the one that ran, and at most one more`,
      );
      const stored = await store.everything();
      assert(!stored.includes(busy) && !stored.includes(calm), "keys lie there as digests");
    }, { apiKeys: [busy, calm], limits: { queue: 300, batch: 1 } });
  },
);
