/** Pictures of a shared queue in a folder, and in a bucket: the queue has their keys alone. */
import { assert, assertEquals } from "@std/assert";
import { Redis } from "ioredis";
import { openBullQueue } from "../../../src/server/cluster/mod.ts";
import { createApp } from "../../../src/server/app.ts";
import type { App } from "../../../src/server/app.ts";
import { post, ToyRenderer } from "../toy_renderer.ts";
import { RedisServer } from "./redis_fixture.ts";
import { ACCESS, SmallBucket } from "./results/small_bucket.ts";
import { addJob, ended, eventually, isReady, SHORT_LEASE } from "./shared_server.ts";
import { WITH_REDIS } from "./stores.ts";

const SNEAKER = { prompt: "sneaker", seed: 7, steps: 3 };

Deno.test({
  name: "pictures lie in a folder, are answered by every server, and expire with their job",
  ...WITH_REDIS,
  async fn(): Promise<void> {
    const folder = await Deno.makeTempDir();
    await use(`file://${folder}`, async ({ worker, api, store }) => {
      const id = await addJob(api, SNEAKER);
      const job = await ended(api, id);
      assertEquals(job["state"], "completed");
      const own = await (await worker.request(`/v1/jobs/${id}/image`)).bytes();
      assertEquals([own[1], own[2], own[3]], [0x50, 0x4e, 0x47]);
      assertEquals([...Deno.readDirSync(folder)].length, 2, "picture and latents");
      const body = { ...SNEAKER, response_format: "url" };
      const { data } = await (await post(api, "/v1/images/generations", body)).json();
      const path = new URL(data[0].url).pathname;
      assertEquals(await (await worker.request(path)).bytes(), own);
      assertEquals((await store.keys("invardiff:task:*:picture:*")).length, 0);
      assertEquals((await store.keys("invardiff:image:*:type")).length, 1);
      assertEquals((await store.keys("invardiff:image:*")).length, 1, "its type, which expires");

      await store.del(...await store.keys("invardiff:image:*"), `invardiff:task:${id}`);
      for (const expired of [path, `/v1/jobs/${id}/image`]) {
        const gone = await api.request(expired);
        await gone.body?.cancel();
        assertEquals(gone.status, 404, expired);
      }
    });
    await Deno.remove(folder, { recursive: true });
  },
});

Deno.test({
  name: "a bucket that is away fails jobs with a reason, and pictures are asked for later",
  ...WITH_REDIS,
  async fn(): Promise<void> {
    Deno.env.set("AWS_ACCESS_KEY_ID", ACCESS.id);
    Deno.env.set("AWS_SECRET_ACCESS_KEY", ACCESS.secret);
    await using bucket = new SmallBucket("pictures");
    await use(`s3://pictures?endpoint=${bucket.url}`, async ({ api }) => {
      const id = await addJob(api, SNEAKER);
      assertEquals((await ended(api, id))["state"], "completed");
      assert([...bucket.objects.keys()].every((path) => path.startsWith(`/pictures/task/${id}/`)));
      bucket.busy = 100;
      const later = await api.request(`/v1/jobs/${id}/image`);
      assertEquals([later.status, later.headers.get("retry-after")], [503, "5"]);
      assertEquals((await later.json()).error.code, "results_unreachable");
      bucket.busy = 1000;
      const failed = await ended(api, await addJob(api, SNEAKER));
      assertEquals(failed["state"], "failed");
      assertEquals((failed["error"] as { code: string }).code, "results_unreachable");
      bucket.busy = 0;
      const picture = await api.request(`/v1/jobs/${id}/image`);
      await picture.body?.cancel();
      assertEquals(picture.status, 200);
    });
    Deno.env.delete("AWS_ACCESS_KEY_ID");
    Deno.env.delete("AWS_SECRET_ACCESS_KEY");
  },
});

Deno.test({
  name: "what a worker drew for a job that was another's, or cancelled, by then is not kept",
  ...WITH_REDIS,
  async fn(): Promise<void> {
    const folder = await Deno.makeTempDir();
    await use(`file://${folder}`, async ({ api, store, toy }) => {
      toy.hold();
      const id = await addJob(api, SNEAKER);
      await eventually(() => toy.drawing === 1);
      await store.hset(`invardiff:task:${id}`, "owner", "another"); // as a rescuer leaves it
      const waiting = await addJob(api, { ...SNEAKER, seed: 8 });
      toy.release();
      assertEquals((await ended(api, waiting))["state"], "completed");
      await eventually(() => [...Deno.readDirSync(folder)].length === 2);
      const names = [...Deno.readDirSync(folder)].map(({ name }) => name);
      assert(names.every((name) => name.includes(waiting)), names.join(" "));
    });
    await Deno.remove(folder, { recursive: true });
  },
});

/** A server that draws nothing, one whose toy draws, and a client of their Redis. */
async function use(
  results: string,
  call: (all: {
    readonly api: App;
    readonly worker: App;
    readonly toy: ToyRenderer;
    readonly store: Redis;
  }) => Promise<void>,
): Promise<void> {
  await using redis = await RedisServer.start();
  const open = async (toys: readonly ToyRenderer[]): Promise<App> => {
    const queue = await openBullQueue({ url: redis.url, lease: SHORT_LEASE, results });
    return createApp({ renderers: toys, plans: [], queue });
  };
  const toy = new ToyRenderer();
  const [worker, api] = [await open([toy]), await open([])];
  const store = new Redis(redis.url);
  try {
    await eventually(() => isReady(api));
    await call({ api, worker, toy, store });
  } finally {
    store.disconnect();
    for (const app of [worker, api]) await app.drain(AbortSignal.abort());
  }
}
