import { assert, assertEquals } from "@std/assert";
import { Redis } from "ioredis";
import type { App } from "../../../src/server/app.ts";
import { post, ToyRenderer } from "../toy_renderer.ts";
import { RedisServer } from "./redis_fixture.ts";
import { eventually, isReady, sharedApp, WITH_REDIS } from "./shared_server.ts";

const KEYS = ["a-key-of-the-first-client", "a-key-of-the-second-client"];

Deno.test({
  name: "a key has one rate at all servers together, another as much again, by Redis' clock",
  ...WITH_REDIS,
  async fn(): Promise<void> {
    await using redis = await RedisServer.start();
    const options = { apiKeys: KEYS, rateLimit: { perMinute: 60, burst: 6 } };
    const worker = await sharedApp(redis.url, [new ToyRenderer()], options);
    const servers = [
      await sharedApp(redis.url, [], options),
      await sharedApp(redis.url, [], options),
    ];
    await eventually(async () => (await Promise.all(servers.map(isReady))).every((ready) => ready));
    const ask = async (app: App, key = 0): Promise<readonly [number, number | undefined]> => {
      const headers = { authorization: `Bearer ${KEYS[key]}` };
      const response = await post(app, "/v1/jobs", { label: 1 }, { headers });
      await response.body?.cancel();
      const seconds = response.headers.get("retry-after");
      return [response.status, seconds === null ? undefined : Number(seconds)];
    };
    const first = await Promise.all(Array.from({ length: 8 }, (_, i) => ask(servers[i % 2]!)));
    const passed = first.filter(([status]) => status === 202).length;
    assert(passed === 6 || passed === 7, `${passed}: six at once, and one a second`);
    const refused = first.filter(([status]) => status === 429);
    assertEquals(refused.length + passed, 8);
    for (const [, seconds] of refused) assert(seconds! >= 1 && seconds! <= 3, `${seconds}`);
    assertEquals((await ask(servers[0]!, 1))[0], 202, "another key");

    const store = new Redis(redis.url);
    const [bucket] = (await store.keys("invardiff:rate:*")).filter((key) => key.length > 64);
    assert(bucket !== undefined && KEYS.every((key) => !bucket.includes(key)), "a digest");
    const longest = Math.max(...refused.map(([, seconds]) => seconds!));
    await new Promise((resolve) => setTimeout(resolve, longest * 1000));
    assertEquals((await ask(servers[1]!))[0], 202, "who comes back when it said is let in");
    assert(await store.pttl(bucket) <= 6000, "nothing is kept of who asks no more");
    store.disconnect();
    for (const app of [...servers, worker]) await app.drain(AbortSignal.abort());
  },
});
