/** A store that cannot take more, or is none that can be used. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import pg from "pg";
import { BackendError } from "../../../src/errors.ts";
import { openBullQueue } from "../../../src/server/cluster/mod.ts";
import { openPostgresQueue } from "../../../src/server/cluster/postgres/mod.ts";
import { reached } from "../../../src/server/cluster/reached.ts";
import { RequestError } from "../../../src/server/request_error.ts";
import { post } from "../toy_renderer.ts";
import { PostgresServer } from "./postgres_fixture.ts";
import { addJob, ended, eventually, withServers } from "./shared_server.ts";
import { overStores, POSTGRES } from "./stores.ts";

const SNEAKER = { prompt: "sneaker", seed: 7, steps: 3 };

overStores(
  "a store that is full is told as that, loses nothing, and goes on when it has room",
  async (kind) => {
    await withServers(kind, async ({ store, api, toy }) => {
      toy.hold();
      const id = await addJob(api, SNEAKER);
      await eventually(() => toy.drawing === 1);
      await store.setFull(true);
      const refused = await post(api, "/v1/jobs", { ...SNEAKER, seed: 8 });
      const { error } = await refused.json();
      assertEquals([refused.status, error.code], [503, "queue_out_of_memory"]);
      assertEquals(error.message, "Cannot use the queue: its memory or disk is full");
      assertEquals(refused.headers.get("retry-after"), "30");
      const { state } = await (await api.request(`/v1/jobs/${id}`)).json();
      assertEquals(state, "running", "who asks only is answered");
      toy.release();
      await new Promise((resolve) => setTimeout(resolve, 500)); // its end cannot be written
      await store.setFull(false);
      assertEquals((await ended(api, id))["state"], "completed");
      assertEquals((await ended(api, await addJob(api, SNEAKER)))["state"], "completed");
    });
  },
);

Deno.test({
  name:
    "a Postgres without disk, locks or connections left is told as that, and so is one that is too old",
  ...{ ignore: POSTGRES.isMissing, sanitizeOps: false, sanitizeResources: false },
  async fn(): Promise<void> {
    await using server = await PostgresServer.start({
      settings: ["fsync=off", "max_connections=5"],
    });
    const { url } = server;
    const told = async (answer: Promise<unknown>): Promise<string | undefined> =>
      (await assertRejects(() => reached(answer), RequestError)).code;
    const locks = "SELECT pg_advisory_lock(n) FROM generate_series(1, 1000000) AS n";
    assertEquals(await told(server.ask(locks)), "queue_out_of_memory");
    const rows = "SELECT n FROM generate_series(1, 100000) AS n";
    assertEquals(await told(server.ask(`COPY (${rows}) TO '/dev/full'`)), "queue_out_of_memory");
    const clients = Array.from({ length: 5 }, () => new pg.Client(url));
    for (const client of clients) await client.connect();
    assertEquals(await told(server.ask("SELECT 1")), "queue_unreachable");
    await refuses(() => openPostgresQueue({ url }), "too many clients");
    for (const client of clients) await client.end();

    await server.ask("ALTER USER invardiff SET search_path = public, pg_catalog");
    await server.ask(
      "CREATE FUNCTION current_setting(text, boolean) RETURNS text LANGUAGE sql AS $$ SELECT '13.22' $$",
    );
    const words = "its version must be 14 or newer: current value is 13.22";
    await refuses(() => openPostgresQueue({ url }), words);
  },
});

Deno.test("a Redis that is too old is refused by name", async () => {
  const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const serving = answerAsOld(listener);
  const url = `redis://127.0.0.1:${listener.addr.port}`;
  const words = "its version must be 6.2 or newer: current value is 5.0.7";
  const message = await refuses(() => openBullQueue({ url }), words);
  assert(message.startsWith(`Cannot use the queue at ${url}`), message);
  listener.close();
  await serving;
});

/** What is said when a queue cannot be opened, words among it. */
async function refuses(open: () => Promise<unknown>, words: string): Promise<string> {
  const { message } = await assertRejects(open, BackendError);
  assertStringIncludes(message, words);
  return message;
}

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
