/** What only a queue on Postgres has: tables that it makes, versions of them, and answers that were lost. */
import { assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { BackendError } from "../../../../src/errors.ts";
import { expectVersion } from "../../../../src/server/cluster/postgres/postgres_link.ts";
import { PostgresStore } from "../../../../src/server/cluster/postgres/postgres_store.ts";
import type { NewTask } from "../../../../src/server/cluster/store.ts";
import { openPostgresQueue } from "../../../../src/server/cluster/postgres/mod.ts";
import { PostgresServer } from "../postgres_fixture.ts";
import { addJob, ended, withServers } from "../shared_server.ts";
import { POSTGRES } from "../stores.ts";

const WITH_POSTGRES = {
  ignore: POSTGRES.isMissing,
  sanitizeOps: false,
  sanitizeResources: false,
} as const;
const ROOM = { most: 10, enough: 1, speed: 1, longest: 60 };

Deno.test({
  name: "tables are made once, however many open the queue at once; a newer release's are refused",
  ...WITH_POSTGRES,
  async fn(): Promise<void> {
    await using server = await PostgresServer.start({ settings: ["fsync=off"] });
    const stores = await Promise.all(Array.from({ length: 4 }, () => server.open(10)));
    assertEquals(await server.ask("SELECT number FROM invardiff.version"), [{ number: 1 }]);
    for (const store of stores) store.close();
    await server.ask("UPDATE invardiff.version SET number = 99");
    const error = await assertRejects(() => server.open(10), BackendError);
    assertStringIncludes(error.message, "its tables must be of version 1 or older");
    assertStringIncludes(error.message, "current value is 99, of a newer release");
  },
});

Deno.test({
  name: "queues of two schemas in one database know nothing of each other",
  ...WITH_POSTGRES,
  async fn(): Promise<void> {
    await using server = await PostgresServer.start({ settings: ["fsync=off"] });
    const { url } = server;
    const [one, other] = [
      await PostgresStore.open({ url, keptSeconds: 10, schema: "one" }),
      await PostgresStore.open({ url, keptSeconds: 10, schema: "other" }),
    ];
    const heard: string[] = [];
    await other.hear("woken", (id) => heard.push(id));
    await one.tasks.add(task("a"), ROOM);
    assertEquals(await one.backlog.waiting("toy"), ["a"]);
    assertEquals(await other.backlog.waiting("toy"), []);
    assertEquals(heard, []);
    for (const store of [one, other]) store.close();
  },
});

Deno.test({
  name: "what is said again, since its answer was lost, is done once",
  ...WITH_POSTGRES,
  async fn(): Promise<void> {
    await using server = await PostgresServer.start({ settings: ["fsync=off"] });
    const store = await PostgresStore.open({ url: server.url, keptSeconds: 10 });
    const { tasks, link } = store;
    assertEquals(await tasks.add(task("a"), ROOM), { kind: "added", turn: 0 });
    assertEquals(await tasks.add(task("a"), ROOM), { kind: "added", turn: 0 });
    assertEquals(await link.value("SELECT @take_ticket('toy', 'me', 1000)"), "a");
    assertEquals(await link.value("SELECT @take_ticket('toy', 'you', 1000)"), undefined);
    const claim = { owner: "me", pictures: 8, attempts: 5 };
    for (let i = 0; i < 3; i++) assertEquals(await tasks.claim("a", claim), ["a"]);
    assertEquals(await tasks.claim("a", { ...claim, owner: "you" }), []);
    assertEquals((await tasks.read("a"))?.attempts, 1);
    const part = (number: number, owner = "me"): Promise<unknown> =>
      link.value("SELECT @progress_task('a', $1, $2, 1, 1, '{step}', '{1}', '{\"\"}')", [
        owner,
        number,
      ]);
    assertEquals([await part(1), await part(1), await part(2)], [true, true, true]);
    assertEquals(await part(3, "you"), false);
    const steps = (await tasks.eventsAfter("a", 0)).filter(({ event }) => event === "step");
    assertEquals(steps.length, 2);
    const end = { owner: "me", state: "completed", result: "{}" } as const;
    assertEquals([await tasks.finish("a", end), await tasks.finish("a", end)], [true, false]);
    store.close();
  },
});

Deno.test({
  name:
    "words that Postgres cannot have are kept, and such names, and events that cannot be, are not there",
  ...WITH_POSTGRES,
  async fn(): Promise<void> {
    await withServers(POSTGRES, async ({ api, store }) => {
      const opened = await store.open(10);
      const body = { prompt: "\u0000 \ud800" }; // what Postgres' text cannot have
      const odd = task("odd");
      await opened.tasks.add({ ...odd, model: "odd", request: { ...odd.request, body } }, ROOM);
      assertEquals((await opened.tasks.read("odd"))?.request.body, body);
      assertEquals(await opened.tasks.eventsAfter("odd", Number.MAX_SAFE_INTEGER), []);
      opened.close();

      for (const path of ["/v1/jobs/a%00b", "/v1/files/a%00b.png"]) {
        const response = await api.request(path);
        await response.body?.cancel();
        assertEquals(response.status, 404, path);
      }
      const id = await addJob(api, { prompt: "sneaker", seed: 7, steps: 1 });
      assertEquals((await ended(api, id))["state"], "completed");
    });
  },
});

Deno.test("Postgres must be 14 or newer, and a schema's name one without quotes", async () => {
  for (const version of ["14.0", "15.18 (Debian 15.18-0+deb12u1)", "18beta1"]) {
    expectVersion(version);
  }
  const error = assertThrows(() => expectVersion("13.22"), BackendError);
  assertEquals(error.message, "its version must be 14 or newer: current value is 13.22");
  for (const schema of ["", "Jobs", 'a"; DROP TABLE b; --', "a".repeat(60)]) {
    const refused = await assertRejects(
      () => openPostgresQueue({ url: POSTGRES.nobody, schema }),
      TypeError,
    );
    assertStringIncludes(refused.message, "schema must be");
  }
});

function task(id: string): NewTask {
  const request = { body: {}, previews: 0, plan: "", fingerprint: "" } as unknown;
  return {
    ...{ id, model: "toy", shape: "s", pictures: 1, macs: 1, steps: 1, asker: "", listed: false },
    ...{ unwatched: 0, deadlineSeconds: 60, request: request as NewTask["request"] },
  };
}
