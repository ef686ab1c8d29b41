/** `GET /v1/jobs`: one's own jobs, newest first, page by page. */
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import type { App } from "../../src/server/app.ts";
import { post, toyApp, ToyRenderer, until } from "./toy_renderer.ts";

const KEYS = ["key-of-the-first-client", "key-of-the-second-client"];

Deno.test("jobs are listed newest first, page by page, until there are no more", async () => {
  const app = await toyApp();
  assertEquals(await list(app), { ids: [], data: [], has_more: false });
  const ids: string[] = [];
  for (const seed of [1, 2, 3, 4, 5]) ids.unshift(await submit(app, { seed }));
  const { data } = await list(app);
  assertEquals(data[4], await (await app.request(`/v1/jobs/${ids[4]}`)).json());
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 7 }), async (limit) => {
      const seen: string[] = [];
      for (let after = "";;) {
        const page = await list(app, `?limit=${limit}${after}`);
        seen.push(...page.ids);
        assertEquals(page.has_more, seen.length < ids.length);
        if (!page.has_more) break;
        after = `&after=${page.ids.at(-1)}`;
      }
      assertEquals(seen, ids);
    }),
    { numRuns: 7 },
  );
  assertEquals((await list(app, `?after=${ids[4]}`)).ids, []);
});

Deno.test("jobs are listed by state, as they are and as they end", async () => {
  const toy = new ToyRenderer();
  const app = await toyApp([toy], { limits: { batch: 1 } });
  toy.hold();
  const [running, waiting] = [await submit(app, { seed: 1 }), await submit(app, { seed: 2 })];
  assertEquals((await list(app, "?state=queued")).ids, [waiting]);
  assertEquals((await list(app, "?state=running")).ids, [running]);
  await app.request(`/v1/jobs/${waiting}`, { method: "DELETE" });
  toy.release();
  await until(() => toy.drawing === 0);
  await app.drain();
  assertEquals((await list(app, "?state=cancelled")).ids, [waiting]);
  assertEquals((await list(app, "?state=completed")).ids, [running]);
  assertEquals((await list(app)).ids, [waiting, running]);
});

Deno.test("with keys one's own jobs are listed, and no key sees those of another", async () => {
  const app = await toyApp([new ToyRenderer()], { apiKeys: KEYS });
  const [first, second] = KEYS.map((key) => ({ authorization: `Bearer ${key}` }));
  const mine = await submit(app, { seed: 1 }, first);
  const theirs = await submit(app, { seed: 2 }, second);
  assertEquals((await list(app, "", { authorization: `bearer  ${KEYS[0]}` })).ids, [mine]);
  assertEquals((await list(app, "", second)).ids, [theirs]);
  assertEquals((await app.request("/v1/jobs")).status, 401);
});

Deno.test("only so many jobs that ended are kept, and a list does not show the others", async () => {
  const app = await toyApp([new ToyRenderer()], { limits: { kept: 2 } });
  const ids: string[] = [];
  for (const seed of [1, 2, 3]) {
    const id = await submit(app, { seed });
    await (await app.request(`/v1/jobs/${id}/events`)).text(); // until it has ended
    ids.unshift(id);
  }
  assertEquals((await list(app)).ids, ids.slice(0, 2));
});

Deno.test("a list that nobody can give is refused by name", async () => {
  const app = await toyApp();
  for (
    const [query, status, param] of [
      ["limit=0", 400, "limit"],
      ["limit=101", 400, "limit"],
      ["limit=1e1", 400, "limit"],
      ["limit=", 400, "limit"],
      ["state=done", 400, "state"],
      ["page=2", 400, "page"],
      ["after=00000000-0000-0000-0000-000000000000", 404, null],
      [`after=${"x".repeat(101)}`, 400, "after"],
    ] as const
  ) {
    const response = await app.request(`/v1/jobs?${query}`);
    const { error } = await response.json();
    assertEquals([response.status, error.param], [status, param], `${query}: ${error.message}`);
  }
});

Deno.test("a job that the server's end cut short says so, and one that its client cancelled says nothing", async () => {
  const toy = new ToyRenderer();
  const app = await toyApp([toy], { limits: { batch: 1 } });
  toy.hold();
  const ids = [await submit(app, { seed: 1 }), await submit(app, { seed: 2 })];
  await app.request(`/v1/jobs/${ids[1]}`, { method: "DELETE" });
  const plain = post(app, "/v1/images/generations", { label: 0 });
  await until(() => toy.drawing === 1);
  await app.drain(AbortSignal.abort());
  const { data: [cancelled, cut] } = await list(app);
  assertEquals([cut.state, cut.error.code], ["cancelled", "draining"]);
  assertEquals([cancelled.state, cancelled.error], ["cancelled", null]);
  assertEquals([(await plain).status, (await (await plain).json()).error.code], [503, "draining"]);
});

interface Listed {
  readonly ids: readonly string[];
  // deno-lint-ignore no-explicit-any -- a body of JSON
  readonly data: any[];
  readonly has_more: boolean;
}

async function list(app: App, query = "", headers?: Record<string, string>): Promise<Listed> {
  const response = await app.request(`/v1/jobs${query}`, headers && { headers });
  const { object, data, first_id, last_id, has_more } = await response.json();
  const ids = data.map(({ id }: { readonly id: string }) => id);
  assertEquals([object, first_id, last_id], ["list", ids[0] ?? null, ids.at(-1) ?? null]);
  return { ids, data, has_more };
}

async function submit(app: App, body: unknown, headers?: Record<string, string>): Promise<string> {
  const asked = { label: 0, ...Object(body) };
  return (await (await post(app, "/v1/jobs", asked, headers && { headers })).json()).id;
}
