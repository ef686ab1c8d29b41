/** Jobs that are to be watched, on servers that share a queue: a tab that is closed leaves none of them running. */
import { assert, assertEquals } from "@std/assert";
import { Redis } from "ioredis";
import { RedisStore } from "../../../src/server/cluster/redis/redis_store.ts";
import { Watches } from "../../../src/server/cluster/watches.ts";
import { addJob, ended, eventually, WITH_REDIS, withServers } from "./shared_server.ts";

const JOB = { label: 0, watched: true };

Deno.test({
  name:
    "a watched job is cancelled when nobody comes or all have left, whichever server they were at",
  ...WITH_REDIS,
  async fn(): Promise<void> {
    await withServers(async ({ redis, api, worker, toy }) => {
      toy.hold();
      const followed = await addJob(api, { ...JOB, seed: 1 });
      const events = await worker.request(`/v1/jobs/${followed}/events`); // not where it was taken
      const reader = events.body!.getReader();
      await reader.read();
      await eventually(() => toy.drawing === 1);
      const lonely = await addJob(api, { ...JOB, seed: 2 }); // a tab that closed too early
      const plain = await addJob(api, { label: 0, seed: 3 });
      const stateOf = async (id: string): Promise<string> =>
        (await (await api.request(`/v1/jobs/${id}`)).json()).state;
      await eventually(async () => await stateOf(lonely) === "cancelled");
      assertEquals([await stateOf(followed), await stateOf(plain)], ["running", "queued"]);
      await reader.cancel();
      await eventually(async () => await stateOf(followed) === "cancelled");
      await eventually(() => toy.stopped === 1);
      toy.release();
      assertEquals((await ended(api, plain))["state"], "completed");
      const client = new Redis(redis.url);
      assertEquals(await client.exists("invardiff:watched"), 0);
      client.disconnect();
    }, { limits: { unwatchedSeconds: 0.5, batch: 1 } });
  },
});

Deno.test({
  name: "followers get time to come back where Redis or all workers were away",
  ...WITH_REDIS,
  async fn(): Promise<void> {
    await withServers(async ({ redis, api, toy }) => {
      toy.hold();
      const id = await addJob(api, JOB);
      await eventually(() => toy.drawing === 1);
      const client = new Redis(redis.url);
      const store = await RedisStore.open({ url: redis.url, keptSeconds: 10 });
      const watches = new Watches(store.tasks);
      const state = async (): Promise<string | null> =>
        await client.hget(`invardiff:task:${id}`, "state");
      const overdue = async (): Promise<void> => {
        await client.zadd("invardiff:watched", 1, id);
      };
      await overdue();
      await client.del("invardiff:looked");
      await watches.endUnwatched();
      assertEquals(await state(), "running");
      const due = Number(await client.zscore("invardiff:watched", id));
      assert(due > Date.now() + 5000, `${due - Date.now()} ms are left`);
      await overdue();
      await watches.endUnwatched();
      assertEquals(await state(), "cancelled");
      store.close();
      client.disconnect();
    });
  },
});
