/** Clients of several servers that wait as `Retry-After` says: places that one server promised, all of them keep. */
import { assert, assertEquals } from "@std/assert";
import type { App } from "../../../src/server/app.ts";
import type { Batch, Rendered, RenderOptions } from "../../../src/worker/renderer.ts";
import { post, ToyRenderer } from "../toy_renderer.ts";
import { overStores } from "./stores.ts";
import { addJob, eventually, isReady, sharedApp, withServers } from "./shared_server.ts";

overStores(
  "who was promised a place by one server finds it at another, ahead of those who never asked",
  async (kind) => {
    await withServers(kind, async ({ store, api, worker, toy }) => {
      toy.hold();
      await addJob(api, { label: 0, seed: 0 });
      await eventually(() => toy.drawing === 1);
      const waiting = [await addJob(api, { label: 0, seed: 1 }), await addJob(api, { label: 1 })];
      const seconds = await asked(api);
      assertEquals(seconds, 1); // nothing was measured yet
      const promised = performance.now() + seconds * 1000;
      await cancel(api, waiting[0]!);
      assertEquals(await asked(worker), 1); // a place is free, and it is promised
      await new Promise((resolve) => setTimeout(resolve, promised - performance.now()));
      assertEquals(await asked(worker), 0);
      assertEquals(await asked(api), 1); // whoever comes now, there is none for it
      await cancel(api, waiting[1]!);
      await store.breakPromises(); // who is too late has given up
      assertEquals(await asked(api), 0);
    }, { limits: { queue: 2, batch: 1 } });
  },
);

overStores(
  "100 requests at 64 at once, at two servers that share a queue: none is lost, two refusals each at most",
  async (kind) => {
    await using store = await kind.start();
    const limits = { queue: 8 };
    const worker = await sharedApp(store.url, [new SlowToy()], { limits });
    const servers = [await sharedApp(store.url, [], { limits }), worker];
    try {
      for (const app of servers) await eventually(() => isReady(app));
      const first = await post(worker, "/v1/images/generations", { label: 0 });
      assertEquals(first.status, 200, await first.text());
      // Said every five seconds.
      await eventually(async () => /"speed":\d/.test(await store.workerNotes()));
      const refused = await crowd(servers);
      const sum = refused.reduce((all, times) => all + times, 0);
      assertEquals(refused.length, 100);
      assert(sum <= 200, `${sum} refusals`);
      assert(Math.max(...refused) <= 10, `one client was refused ${Math.max(...refused)} times`);
    } finally {
      for (const app of servers) await app.drain(AbortSignal.abort());
    }
  },
);

/** Asks for a job: 0 where it was taken, else the seconds of `Retry-After`. */
async function asked(app: App): Promise<number> {
  const response = await post(app, "/v1/jobs", { label: 2 });
  await response.body?.cancel();
  return response.status === 202 ? 0 : Number(response.headers.get("retry-after"));
}

async function cancel(app: App, id: string): Promise<void> {
  await (await app.request(`/v1/jobs/${id}`, { method: "DELETE" })).body?.cancel();
}

/** 100 requests by 64 clients that go from server to server; how often each was refused. */
async function crowd(servers: readonly App[]): Promise<readonly number[]> {
  const seeds = Array.from({ length: 100 }, (_, seed) => seed);
  const refused: number[] = [];
  const request = async (seed: number): Promise<void> => {
    for (let times = 0;; times++) {
      const app = servers[(seed + times) % servers.length]!; // there is one at least
      const response = await post(app, "/v1/images/generations", { label: 0, seed });
      await response.body?.cancel();
      if (response.status === 200) return void refused.push(times);
      const seconds = Number(response.headers.get("retry-after"));
      await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    }
  };
  const client = async (): Promise<void> => {
    for (let seed = seeds.shift(); seed !== undefined; seed = seeds.shift()) await request(seed);
  };
  await Promise.all(Array.from({ length: 64 }, client));
  return refused;
}

/** Seconds that a picture takes. */
const PICTURE_SECONDS = 0.04;

/** A toy whose steps take time, more for more pictures. */
class SlowToy extends ToyRenderer {
  override async render(batch: Batch, options: RenderOptions = {}): Promise<Rendered> {
    const seconds = PICTURE_SECONDS / batch.steps * batch.pictures.length;
    const rendered = await super.render(batch);
    for (let index = 0; index < batch.steps; index++) {
      await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
      options.signal?.throwIfAborted();
      options.onStep?.({ index, steps: batch.steps, kind: "full", seconds, keptBytes: 8 });
    }
    return rendered;
  }
}
