/** Checks for servers that remember: jobs, their queue, batches; and for those that do not. */
import { assert, assertEquals, assertGreaterOrEqual } from "@std/assert";
import type { Client, ServerEvent } from "./client.ts";
import type { HttpCheck } from "./http_check.ts";

const JOB = { label: 3, seed: 5, steps: 6, plan: "none" };
/** Long enough that others wait behind it. */
const LONG = { ...JOB, steps: 200 };

/** All of them. */
export const JOB_CHECKS: readonly HttpCheck[] = [
  {
    tag: "jobs",
    name:
      "it takes a job, tells its steps, and keeps the picture that it would have answered at once",
    check: async (client) => {
      const id = await submit(client, { ...JOB, previews: true });
      const events = await Array.fromAsync(client.events(`/v1/jobs/${id}/events`));
      const of = (kind: string): ServerEvent[] => events.filter(({ event }) => event === kind);
      assertEquals(of("step").map(({ data }) => data.index), [0, 1, 2, 3, 4, 5]);
      assertEquals(events.at(-1)?.event, "completed");
      const image = await fetch(new URL(`/v1/jobs/${id}/image`, client.base));
      assertEquals(image.headers.get("content-type"), "image/png");
      const { data } = (await client.generate(JOB)).json;
      const direct = Uint8Array.from(atob(data[0].b64_json), (char) => char.charCodeAt(0));
      assertEquals(new Uint8Array(await image.arrayBuffer()), direct);
    },
  },
  {
    tag: "jobs",
    name: "it resumes a job's events behind the last one that a client has seen",
    check: async (client) => {
      const id = await submit(client, JOB);
      const path = `/v1/jobs/${id}/events`;
      const all = await Array.fromAsync(client.events(path));
      const seen = all[2]!; // queued or started, and steps
      const headers = { "last-event-id": seen.id! }; // job events are numbered
      assertEquals(await Array.fromAsync(client.events(path, { headers })), all.slice(3));
    },
  },
  {
    tag: "jobs",
    name: "it cancels a job that runs, and the next one begins",
    check: async (client) => {
      const id = await submit(client, LONG);
      for await (const { event } of client.events(`/v1/jobs/${id}/events`)) {
        if (event === "step") break;
      }
      const cancelled = await client.get(`/v1/jobs/${id}`, { method: "DELETE" });
      assertEquals([cancelled.status, cancelled.json.state], [200, "cancelled"]);
      await client.generate(JOB);
    },
  },
  {
    tag: "jobs",
    name: "it draws jobs that are alike together, each as it would be alone",
    check: async (client) => {
      const blocker = await submit(client, LONG);
      const ids = [await submit(client, JOB), await submit(client, { ...JOB, seed: 6 })];
      const waiting = await Promise.all(ids.map(async (id) => await client.get(`/v1/jobs/${id}`)));
      assertEquals(waiting.map(({ json }) => json.queue_position), [0, 1]);
      await client.get(`/v1/jobs/${blocker}`, { method: "DELETE" });
      for (const [i, id] of ids.entries()) {
        const last = (await Array.fromAsync(client.events(`/v1/jobs/${id}/events`))).at(-1);
        assertEquals([last?.event, last?.data.batch], ["completed", 2]);
        const image = await fetch(new URL(`/v1/jobs/${id}/image`, client.base));
        const alone = (await client.generate({ ...JOB, seed: 5 + i })).json.data[0].b64_json;
        const wanted = Uint8Array.from(atob(alone), (char) => char.charCodeAt(0));
        assertEquals(new Uint8Array(await image.arrayBuffer()), wanted);
      }
    },
  },
  {
    tag: "jobs",
    name: "it refuses what its queue has no room for, and says when to come again",
    check: async (client) => {
      const { limits: { queue } } = (await client.get("/v1/capabilities")).json;
      const ids = [await submit(client, LONG)];
      for (let i = 0; i < queue; i++) ids.push(await submit(client, { ...LONG, steps: 190 - i }));
      const refused = await client.post("/v1/jobs", JOB);
      assertEquals([refused.status, refused.json.error.code], [429, "queue_full"]);
      assertGreaterOrEqual(Number(refused.headers.get("retry-after")), 1);
      for (const id of ids.reverse()) await client.get(`/v1/jobs/${id}`, { method: "DELETE" });
      await client.generate(JOB);
    },
  },
  {
    tag: "no jobs",
    name: "it answers 501 to jobs, and does not claim them",
    check: async (client) => {
      const { status, json } = await client.post("/v1/jobs", JOB);
      assertEquals([status, json.error.code], [501, "not_implemented"]);
      assertEquals((await client.get("/v1/jobs/1/events")).status, 501);
      const { routes, response_formats } = (await client.get("/v1/capabilities")).json;
      assert(routes.every((route: string) => !route.includes("/v1/jobs")));
      assertEquals(response_formats, ["b64_json"]); // a URL would lead to another isolate
      const url = await client.post("/v1/images/generations", { ...JOB, response_format: "url" });
      assertEquals([url.status, url.json.error.param], [400, "response_format"]);
    },
  },
  {
    tag: "no jobs",
    name: "it draws for several clients one after another, and refuses those that are too many",
    check: async (client) => {
      const { limits: { queue } } = (await client.get("/v1/capabilities")).json;
      const body = { ...JOB, steps: 3 };
      const alone = (await client.generate(body)).json.data;
      const asked = Array.from(
        { length: queue + 3 },
        () => client.post("/v1/images/generations", body),
      );
      const answers = await Promise.all(asked);
      const drawn = answers.filter(({ status }) => status === 200);
      assertGreaterOrEqual(drawn.length, queue);
      for (const { json } of drawn) assertEquals(json.data, alone);
      const refused = answers.filter(({ status }) => status !== 200);
      assert(
        refused.every(({ status, json }) => status === 429 && json.error.code === "queue_full"),
      );
    },
  },
];

async function submit(client: Client, body: unknown): Promise<string> {
  const { status, json, headers } = await client.post("/v1/jobs", body);
  assertEquals(status, 202);
  assertEquals(headers.get("location"), `/v1/jobs/${json.id}`);
  return json.id;
}
