/** Pictures of a shared queue in a folder, and in a bucket: the queue has their keys alone. */
import { assert, assertEquals } from "@std/assert";
import { post } from "../toy_renderer.ts";
import { ACCESS, SmallBucket } from "./results/small_bucket.ts";
import { addJob, ended, eventually, withServers } from "./shared_server.ts";
import { overStores } from "./stores.ts";

const SNEAKER = { prompt: "sneaker", seed: 7, steps: 3 };

overStores(
  "pictures lie in a folder, are answered by every server, and expire with their job",
  async (kind) => {
    const folder = await Deno.makeTempDir();
    await withServers(kind, async ({ worker, api, store }) => {
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
      const kept = await store.keptKeys();
      assertEquals(kept.filter((key) => key.includes(":picture:")), []);
      const images = kept.filter((key) => key.startsWith("image:"));
      assertEquals(images.length, 1);
      assert(images[0]!.endsWith(":type"), "its type, which expires");

      await store.forgetKept("image:");
      await store.forgetTask(id);
      for (const expired of [path, `/v1/jobs/${id}/image`]) {
        const gone = await api.request(expired);
        await gone.body?.cancel();
        assertEquals(gone.status, 404, expired);
      }
    }, { results: `file://${folder}` });
    await Deno.remove(folder, { recursive: true });
  },
);

overStores(
  "a bucket that is away fails jobs with a reason, and pictures are asked for later",
  async (kind) => {
    Deno.env.set("AWS_ACCESS_KEY_ID", ACCESS.id);
    Deno.env.set("AWS_SECRET_ACCESS_KEY", ACCESS.secret);
    await using bucket = new SmallBucket("pictures");
    await withServers(kind, async ({ api }) => {
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
    }, { results: `s3://pictures?endpoint=${bucket.url}` });
    Deno.env.delete("AWS_ACCESS_KEY_ID");
    Deno.env.delete("AWS_SECRET_ACCESS_KEY");
  },
);

overStores(
  "what a worker drew for a job that was another's, or cancelled, by then is not kept",
  async (kind) => {
    const folder = await Deno.makeTempDir();
    await withServers(kind, async ({ api, store, toy }) => {
      toy.hold();
      const id = await addJob(api, SNEAKER);
      await eventually(() => toy.drawing === 1);
      await store.setField(id, "owner", "another"); // as a rescuer leaves it
      const waiting = await addJob(api, { ...SNEAKER, seed: 8 });
      toy.release();
      assertEquals((await ended(api, waiting))["state"], "completed");
      await eventually(() => [...Deno.readDirSync(folder)].length === 2);
      const names = [...Deno.readDirSync(folder)].map(({ name }) => name);
      assert(names.every((name) => name.includes(waiting)), names.join(" "));
    }, { results: `file://${folder}` });
    await Deno.remove(folder, { recursive: true });
  },
);
