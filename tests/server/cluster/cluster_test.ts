import { assert, assertEquals } from "@std/assert";
import { encodePng } from "../../../src/image/png.ts";
import { BROKEN, parseEvents, post, ToyRenderer } from "../toy_renderer.ts";
import { overStores } from "./stores.ts";
import { addJob, ended, eventually, isReady, sharedApp, withServers } from "./shared_server.ts";

const SNEAKER = { prompt: "sneaker", seed: 7, steps: 3 };

overStores("servers that share a queue", async (kind, t) => {
  await using store = await kind.start();
  const toy = new ToyRenderer();
  const worker = await sharedApp(store.url, [toy]);
  const [first, second] = [await sharedApp(store.url), await sharedApp(store.url)];
  await eventually(async () => await isReady(first) && await isReady(second));

  await t.step("a server without a model offers those of the workers", async () => {
    const { data } = await (await first.request("/v1/models")).json();
    assertEquals(data.map(({ id }: { id: string }) => id), ["toy"]);
  });

  await t.step("a job of one server is known to all, with what it made", async () => {
    const id = await addJob(first, SNEAKER);
    const events = parseEvents(await (await second.request(`/v1/jobs/${id}/events`)).text());
    assertEquals(events.map(({ event }) => event).filter((event) => event !== "queued"), [
      ...["started", "step", "step", "step", "completed"],
    ]);
    assertEquals(
      events.map(({ id }) => Number(id)),
      events.map((_, i) => Number(events[0]!.id) + i),
    );
    const resumed = await second.request(`/v1/jobs/${id}/events`, {
      headers: { "last-event-id": events[2]!.id },
    });
    assertEquals(parseEvents(await resumed.text()), events.slice(3));
    const job = await (await second.request(`/v1/jobs/${id}`)).json();
    assertEquals([job.state, job.step, job.images.length], ["completed", 3, 1]);
    const pictures = await Promise.all([worker, first, second].map(async (app) => {
      return await (await app.request(`/v1/jobs/${id}/image`)).bytes();
    }));
    assertEquals(pictures[1], pictures[0]);
    assertEquals(pictures[2], pictures[0]);
    const latents = await (await second.request(`/v1/jobs/${id}/latents`)).bytes();
    const alone = await new ToyRenderer().render({
      pictures: [{ label: 3, seed: 7, guidance: 2 }],
      steps: 3,
    });
    assertEquals(new Float32Array(latents.buffer), alone.latents.data);
  });

  await t.step(
    "a request that waits gets its pictures, and their URLs lead to them everywhere",
    async () => {
      const body = { ...SNEAKER, n: 2, response_format: "url" };
      const { data } = await (await post(first, "/v1/images/generations", body)).json();
      assertEquals(data.map(({ seed }: { seed: number }) => seed), [7, 8]);
      for (const { url } of data) {
        const answer = await second.request(new URL(url).pathname);
        assertEquals([answer.status, answer.headers.get("content-type")], [200, "image/png"]);
        await answer.body?.cancel();
      }
    },
  );

  await t.step("a stream has its previews and its pictures", async () => {
    const body = { ...SNEAKER, stream: true, partial_images: 2 };
    const answer = await post(second, "/v1/images/generations", body);
    assertEquals(parseEvents(await answer.text()).map(({ event }) => event), [
      "image_generation.partial_image", // of both, the newest is kept
      "image_generation.completed",
    ]);
  });

  await t.step("an edit begins from the picture that was sent, mask and all", async () => {
    const answer = await first.request("/v1/images/edits", {
      method: "POST",
      body: await editOf(),
    });
    assertEquals(answer.status, 200, await answer.clone().text());
    const { edit } = toy.batches.at(-1)!;
    assertEquals([edit?.strength, edit?.image?.width, edit?.mask?.height], [0.6, 6, 4]);
    await answer.body?.cancel();
  });

  await t.step("any server cancels, and the worker stops within a step", async () => {
    toy.hold();
    const id = await addJob(first, SNEAKER);
    await eventually(() => toy.drawing === 1);
    const told = await (await second.request(`/v1/jobs/${id}`, { method: "DELETE" })).json();
    assertEquals(told.state, "cancelled");
    await eventually(() => toy.drawing === 0);
    assertEquals((await (await first.request(`/v1/jobs/${id}`)).json()).state, "cancelled");
    toy.release();
  });

  await t.step("jobs that are alike and wait are drawn together", async () => {
    toy.hold();
    const ids: string[] = [];
    for (let seed = 1; seed <= 10; seed++) {
      ids.push(
        (await (await post(seed % 2 ? first : second, "/v1/jobs", { ...SNEAKER, seed })).json())
          .id,
      );
      if (seed === 1) await eventually(() => toy.drawing === 1); // alone: the others come later
    }
    const places = await Promise.all(
      ids.map(async (id) => (await (await first.request(`/v1/jobs/${id}`)).json()).queue_position),
    );
    assertEquals(places, [null, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
    const before = toy.batches.length;
    toy.release();
    for (const id of ids) await (await first.request(`/v1/jobs/${id}/events`)).text();
    assertEquals(toy.batches.slice(before).map(({ pictures }) => pictures.length), [8, 1]);
  });

  await t.step("jobs are listed, page by page, newest first", async () => {
    const page = await (await second.request("/v1/jobs?limit=3")).json();
    assertEquals([page.data.length, page.has_more], [3, true]);
    const rest = await (await first.request(`/v1/jobs?limit=100&after=${page.last_id}`)).json();
    assert(rest.data.every(({ id }: { id: string }) => id !== page.last_id));
    assertEquals([rest.data.length, rest.has_more], [9, false]);
  });

  await t.step("a job that fails is drawn once, and every server says why", async () => {
    const before = toy.batches.length;
    toy.failure = BROKEN;
    const id = await addJob(first, SNEAKER);
    const { state, error } = await ended(second, id);
    assertEquals([state, toy.batches.length - before], ["failed", 1]);
    assertEquals((error as { message: string }).message, BROKEN.message);
  });

  await t.step("a job is written about ten times a second, however fast its steps", async () => {
    const writes: string[] = [];
    const other = await store.open(10);
    await other.hear("woken", (id) => writes.push(id));
    toy.hold();
    const began = performance.now();
    const id = await addJob(first, { ...SNEAKER, steps: 100 });
    const timer = setInterval(() => toy.letGo(), 5);
    const events = parseEvents(await (await second.request(`/v1/jobs/${id}/events`)).text());
    const seconds = (performance.now() - began) / 1000;
    clearInterval(timer);
    toy.release();
    assertEquals(events.filter(({ event }) => event === "step").length, 100);
    assertEquals(events.at(-1)?.event, "completed");
    const most = 10 * seconds + 4; // it is added, taken, told of once more at the end, and ended
    const count = writes.filter((each) => each === id).length;
    assert(count >= 4 && count <= most, `${count} writes in ${seconds} s`);
    other.close();
  });

  for (const app of [first, second, worker]) await app.drain();
});

overStores(
  "a place in the queue comes with the time until the job ends, by what runs, waits and is its own",
  async (kind) => {
    await withServers(kind, async ({ store, api, toy }) => {
      toy.hold();
      const ids = [await addJob(api, SNEAKER)];
      await eventually(() => toy.drawing === 1);
      for (const seed of [8, 9]) ids.push(await addJob(api, { ...SNEAKER, seed }));
      await store.setSpeed(10);
      const etas = await Promise.all(ids.map(async (id) => {
        return (await (await api.request(`/v1/jobs/${id}`)).json()).eta_seconds;
      }));
      assertEquals(etas, [6, 12, 18]); // each has three steps of 10, twice for guidance
      const events = (await api.request(`/v1/jobs/${ids[2]}/events`)).body!.getReader();
      const [place] = parseEvents(new TextDecoder().decode((await events.read()).value));
      assertEquals([place?.data["queue_position"], place?.data["eta_seconds"]], [1, 18]);
      await events.cancel();
    }, { limits: { batch: 1 } });
  },
);

overStores(
  "of jobs that ended nothing stays in the store for longer than they are kept",
  async (kind) => {
    await withServers(kind, async ({ store, api, toy }) => {
      toy.hold();
      const ids: string[] = [];
      for (let seed = 0; seed < 4; seed++) {
        ids.push(await addJob(api, { ...SNEAKER, seed }));
        if (seed === 0) await eventually(() => toy.drawing === 1); // the others wait
      }
      const form = await editOf();
      const refused = await api.request("/v1/images/edits", { method: "POST", body: form });
      assertEquals(refused.status, 429);
      await refused.body?.cancel();
      await (await api.request(`/v1/jobs/${ids[3]}`, { method: "DELETE" })).body?.cancel();
      toy.release();
      for (const id of ids) await ended(api, id);
      // Promises wait five seconds for who is late, and a sweep comes every five; all other lives are ten minutes or more.
      await eventually(async () => (await store.leftovers()).length === 0);
    }, { keptSeconds: 1, limits: { queue: 3, batch: 2, deadlineSeconds: 1 } });
  },
);

/** A form that asks for an edit of a picture, with a mask. */
async function editOf(): Promise<FormData> {
  const form = new FormData();
  const pixels = Uint8Array.from({ length: 4 * 6 * 4 }, (_, i) => i % 4 === 3 ? 0 : i);
  const png = await encodePng({ width: 6, height: 4, channels: 4, pixels });
  for (const name of ["image", "mask"]) form.append(name, new Blob([png]), "a.png");
  for (const [name, value] of Object.entries(SNEAKER)) form.append(name, `${value}`);
  return form;
}
