import { assertEquals } from "@std/assert";
import { post, ToyRenderer } from "../toy_renderer.ts";
import { eventually, isReady, sharedApp } from "./shared_server.ts";
import { overStores } from "./stores.ts";

overStores(
  "a request that is sent again to another server, at once or later, is drawn once",
  async (kind) => {
    await using store = await kind.start();
    const toy = new ToyRenderer();
    const worker = await sharedApp(store.url, [toy]);
    const servers = [await sharedApp(store.url), await sharedApp(store.url)];
    await eventually(async () => (await Promise.all(servers.map(isReady))).every((ready) => ready));
    const headers = { "idempotency-key": "order-1" };
    const ask = async (server: number, body: unknown): Promise<Response> =>
      await post(servers[server]!, "/v1/images/generations", body, { headers });
    const both = await Promise.all([0, 1].map((server) => ask(server, { label: 1 })));
    const later = await ask(1, { label: 1 });
    const pictures = await Promise.all([...both, later].map(async (response) => {
      const { data: [{ seed, b64_json }] } = await response.json();
      return `${seed} ${b64_json}`;
    }));
    assertEquals(new Set(pictures).size, 1);
    assertEquals(toy.batches.flatMap(({ pictures }) => pictures).length, 1);
    const other = await ask(0, { label: 2 });
    assertEquals([other.status, (await other.json()).error.code], [422, "idempotency_key_reused"]);
    for (const app of [...servers, worker]) await app.drain();
  },
);
