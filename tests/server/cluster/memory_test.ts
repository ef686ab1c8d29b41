/** A Redis that cannot take more, or is none that can be used. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { Redis } from "ioredis";
import { BackendError } from "../../../src/errors.ts";
import { openBullQueue } from "../../../src/server/cluster/mod.ts";
import { post } from "../toy_renderer.ts";
import { addJob, ended, eventually, withServers } from "./shared_server.ts";
import { REDIS, WITH_REDIS } from "./stores.ts";

const SNEAKER = { prompt: "sneaker", seed: 7, steps: 3 };

Deno.test({
  name: "a Redis whose memory is full is told as that, loses nothing, and goes on when it has room",
  ...WITH_REDIS,
  async fn(): Promise<void> {
    await withServers(REDIS, async ({ store, api, toy }) => {
      const client = new Redis(store.url);
      toy.hold();
      const id = await addJob(api, SNEAKER);
      await eventually(() => toy.drawing === 1);
      await client.config("SET", "maxmemory", "1mb"); // less than it uses
      const refused = await post(api, "/v1/jobs", { ...SNEAKER, seed: 8 });
      const { error } = await refused.json();
      assertEquals([refused.status, error.code], [503, "queue_out_of_memory"]);
      assertEquals(error.message, "Cannot use the queue: its memory is full");
      assertEquals(refused.headers.get("retry-after"), "30");
      const { state } = await (await api.request(`/v1/jobs/${id}`)).json();
      assertEquals(state, "running", "who asks only is answered");
      toy.release();
      await new Promise((resolve) => setTimeout(resolve, 500)); // its end cannot be written
      await client.config("SET", "maxmemory", "0");
      assertEquals((await ended(api, id))["state"], "completed");
      assertEquals((await ended(api, await addJob(api, SNEAKER)))["state"], "completed");
      client.disconnect();
    });
  },
});

Deno.test("a Redis that is too old is refused by name", async () => {
  const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const serving = answerAsOld(listener);
  const url = `redis://127.0.0.1:${listener.addr.port}`;
  const error = await assertRejects(() => openBullQueue({ url }), BackendError);
  assertStringIncludes(error.message, "its version must be 6.2 or newer: current value is 5.0.7");
  assert(error.message.startsWith(`Cannot use the queue at ${url}`), error.message);
  listener.close();
  await serving;
});

/** Answers each command as Redis 5 does. */
async function answerAsOld(listener: Deno.TcpListener): Promise<void> {
  const info = "redis_version:5.0.7\r\nloading:0\r\n";
  const answer = new TextEncoder().encode(`$${info.length}\r\n${info}\r\n`);
  const all: Promise<void>[] = [];
  for await (const connection of listener) {
    all.push((async () => {
      const commands = new TextDecoder();
      try {
        for await (const bytes of connection.readable) {
          const count = commands.decode(bytes).match(/^\*\d+\r$/gm)?.length ?? 0;
          for (let i = 0; i < count; i++) await connection.write(answer);
        }
      } catch {
        // The client has left.
      }
    })());
  }
  await Promise.all(all);
}
