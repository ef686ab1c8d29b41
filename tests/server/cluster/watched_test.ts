/** Jobs that are to be watched, on servers that share a queue: a tab that is closed leaves none of them running. */
import { assert, assertEquals } from "@std/assert";
import { Watches } from "../../../src/server/cluster/watches.ts";
import { addJob, ended, eventually, withServers } from "./shared_server.ts";
import { overStores } from "./stores.ts";

const JOB = { label: 0, watched: true };

overStores(
  "a watched job is cancelled when nobody comes or all have left, whichever server they were at",
  async (kind) => {
    await withServers(kind, async ({ store, api, worker, toy }) => {
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
      assertEquals(await store.watched(), 0);
    }, { limits: { unwatchedSeconds: 0.5, batch: 1 } });
  },
);

overStores(
  "followers get time to come back where the store or all workers were away",
  async (kind) => {
    await withServers(kind, async ({ store, api, toy }) => {
      toy.hold();
      const id = await addJob(api, JOB);
      await eventually(() => toy.drawing === 1);
      const opened = await store.open(10);
      const watches = new Watches(opened.tasks);
      const state = async (): Promise<string | undefined> => await store.field(id, "state");
      await store.leaveAlone(id);
      await store.forgetLook();
      await watches.endUnwatched();
      assertEquals(await state(), "running");
      const left = await store.leftToFollow(id);
      assert(left > 5000, `${left} ms are left`);
      await store.leaveAlone(id);
      await watches.endUnwatched();
      assertEquals(await state(), "cancelled");
      opened.close();
    });
  },
);
