import { assert, assertEquals } from "@std/assert";
import type { App } from "../../../src/server/app.ts";
import { post, ToyRenderer } from "../toy_renderer.ts";
import { eventually, isReady, sharedApp } from "./shared_server.ts";
import { overStores } from "./stores.ts";

const KEYS = ["a-key-of-the-first-client", "a-key-of-the-second-client"];

overStores(
  "a key has one rate at all servers together, another as much again, by the store's clock",
  async (kind) => {
    await using store = await kind.start();
    const options = { apiKeys: KEYS, rateLimit: { perMinute: 60, burst: 6 } };
    const worker = await sharedApp(store.url, [new ToyRenderer()], options);
    const servers = [
      await sharedApp(store.url, [], options),
      await sharedApp(store.url, [], options),
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

    const stored = await store.everything();
    assert(KEYS.every((key) => !stored.includes(key)), "keys lie there as digests");
    const longest = Math.max(...refused.map(([, seconds]) => seconds!));
    await new Promise((resolve) => setTimeout(resolve, longest * 1000));
    assertEquals((await ask(servers[1]!))[0], 202, "who comes back when it said is let in");
    const left = await store.leftOfRates();
    assert(left.length > 0 && Math.max(...left) <= 6000, "nothing is kept of who asks no more");
    for (const app of [...servers, worker]) await app.drain(AbortSignal.abort());
  },
);
