/** Requests made from `/openapi.json`, to two servers that share a queue. */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { requestsOf, send } from "../fuzz_requests.ts";
import { ToyRenderer } from "../toy_renderer.ts";
import { eventually, isReady, sharedApp } from "./shared_server.ts";
import { overStores } from "./stores.ts";

overStores(
  "1,000 requests made from the OpenAPI document get no 5xx of servers that share a queue",
  async (kind) => {
    await using store = await kind.start();
    const limits = { steps: 2, n: 1 };
    const facts = { sampler: { name: "ddim", steps: 2, guidance: 2 } } as const;
    const worker = await sharedApp(store.url, [new ToyRenderer(facts)], { limits });
    const servers = [
      await sharedApp(store.url, [], { limits }),
      await sharedApp(store.url, [], { limits }),
    ];
    await eventually(async () => (await Promise.all(servers.map(isReady))).every((ready) => ready));
    const tally = { drawn: 0, refused: 0 };
    const asks = fc.sample(await requestsOf(servers[0]!), { numRuns: 1000, seed: 20261128 });
    for (const [i, ask] of asks.entries()) tally[await send(servers[i % 2]!, ask)]++;
    assert(tally.drawn > 60 && tally.refused > 300, JSON.stringify(tally));
    assertEquals((await servers[0]!.request("/healthz")).status, 200);
    for (const app of [...servers, worker]) await app.drain(AbortSignal.abort());
  },
);
