/** Workers that are replaced one by one while jobs come. */
import { assertEquals } from "@std/assert";
import { parseEvents, ToyRenderer } from "../toy_renderer.ts";
import { DrawingProcess } from "./drawing.ts";
import { addJob, eventually, isReady, sharedApp } from "./shared_server.ts";
import { overStores } from "./stores.ts";

const JOBS = 9;
const TURNS = 3;
const STEP_MS = 150;

overStores(
  "workers are replaced one by one, and each job ends once, with its seed's bits, stored once",
  async (kind) => {
    await using store = await kind.start();
    const api = await sharedApp(store.url, [], { limits: { batch: 1 } });
    let worker = new DrawingProcess(store.url, STEP_MS);
    await worker.tells(/ready/);
    await eventually(() => isReady(api));
    const ids: string[] = [];
    for (let turn = 0; turn < TURNS; turn++) {
      const next = new DrawingProcess(store.url, STEP_MS);
      await next.tells(/ready/);
      for (let i = 0; i < JOBS / TURNS; i++) { // more than both begin at once, however long the start took
        const seed = ids.length;
        ids.push(await addJob(api, { prompt: "sneaker", seed, steps: 3, n: seed === 0 ? 2 : 1 }));
      }
      await worker.tells(/draws/);
      await worker.stop("SIGTERM"); // it has 0.2 s, a job takes 0.45
      worker = next;
    }
    for (const [seed, id] of ids.entries()) {
      const events = parseEvents(await (await api.request(`/v1/jobs/${id}/events`)).text());
      const ends = events.filter(({ event }) => /completed|failed|cancelled/.test(event));
      assertEquals(ends.map(({ event }) => event), ["completed"], `seed ${seed}`);
      const latents = await (await api.request(`/v1/jobs/${id}/latents`)).bytes();
      const n = seed === 0 ? 2 : 1;
      const pictures = Array.from(
        { length: n },
        (_, i) => ({ label: 3, seed: seed + i, guidance: 2 }),
      );
      const alone = await new ToyRenderer().render({ pictures, steps: 3 });
      assertEquals(new Float32Array(latents.buffer), alone.latents.data);
    }
    const kept = await store.keptKeys();
    assertEquals(kept.filter((key) => key.includes(":picture:")).length, JOBS + 1);
    assertEquals(kept.filter((key) => key.includes(":latents:")).length, JOBS);
    await worker.stop("SIGTERM");
    await api.drain();
  },
);
