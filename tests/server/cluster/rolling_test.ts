/** Workers that are replaced one by one while jobs come. */
import { assertEquals } from "@std/assert";
import { Redis } from "ioredis";
import { parseEvents, ToyRenderer } from "../toy_renderer.ts";
import { DrawingProcess } from "./drawing.ts";
import { RedisServer } from "./redis_fixture.ts";
import { addJob, eventually, isReady, sharedApp, WITH_REDIS } from "./shared_server.ts";

const JOBS = 9;
const STEP_MS = 150;

Deno.test({
  name:
    "workers are replaced one by one, and each job ends once, with its seed's bits, stored once",
  ...WITH_REDIS,
  async fn(): Promise<void> {
    await using redis = await RedisServer.start();
    const api = await sharedApp(redis.url, [], { limits: { batch: 1 } });
    let worker = new DrawingProcess(redis.url, STEP_MS);
    await worker.tells(/ready/);
    await eventually(() => isReady(api));
    const ids: string[] = [];
    for (let seed = 0; seed < JOBS; seed++) {
      ids.push(await addJob(api, { prompt: "sneaker", seed, steps: 3, n: seed === 0 ? 2 : 1 }));
    }
    for (let turn = 0; turn < 2; turn++) {
      await worker.tells(/draws/);
      const next = new DrawingProcess(redis.url, STEP_MS);
      await next.tells(/ready/);
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
    const client = new Redis(redis.url);
    assertEquals((await client.keys("invardiff:task:*:picture:*")).length, JOBS + 1);
    assertEquals((await client.keys("invardiff:task:*:latents:*")).length, JOBS);
    client.disconnect();
    await worker.stop("SIGTERM");
    await api.drain();
  },
});
