import { assert, assertEquals, assertMatch } from "@std/assert";
import { decode } from "fast-png";
import type { App } from "../../src/server/app.ts";
import { parseEvents, post, toyApp, ToyRenderer, until } from "./toy_renderer.ts";

Deno.test("a job is taken, watched from beginning to end, and its pictures are there", async () => {
  const toy = new ToyRenderer();
  const app = await toyApp([toy]);
  toy.hold();
  const response = await post(app, "/v1/jobs", { prompt: "shirt", n: 2, seed: 7, previews: true });
  assertEquals(response.status, 202);
  const job = await response.json();
  assertEquals(response.headers.get("location"), `/v1/jobs/${job.id}`);
  assertMatch(job.id, /^[\w-]{36}$/);
  assertEquals([job.state, job.step, job.steps, job.finished_at], ["running", 0, 4, null]);
  assertEquals(job.request, {
    model: "toy",
    labels: [1, 1],
    label_names: ["Shirt", "Shirt"],
    seeds: [7, 8],
    sampler: "ddim",
    steps: 4,
    guidance_scale: 2,
    size: "6x4",
    output_format: "png",
  });
  const early = await app.request(`/v1/jobs/${job.id}/image`);
  assertEquals([early.status, (await early.json()).error.code], [409, "job_not_completed"]);
  const watched = textOf(app, `/v1/jobs/${job.id}/events`);
  toy.release();
  const events = parseEvents(await watched);
  assertEquals(events.map(({ event }) => event).filter((event) => event !== "preview"), [
    "started",
    "step",
    "step",
    "step",
    "step",
    "completed",
  ]);
  assert(events.every(({ data }) => data["job"] === job.id || data["id"] === job.id));
  assert(events.every(({ id }, i) => i === 0 || Number(id) > Number(events[i - 1]!.id)));
  const { images, state, seconds, batch } = await (await app.request(`/v1/jobs/${job.id}`)).json();
  assertEquals([state, seconds, batch, images.length], ["completed", 0.04, 2, 2]);
  const image = await app.request(images[1].url);
  assertEquals(decode(new Uint8Array(await image.arrayBuffer())).width, 6);
  const wrong = await app.request(`/v1/jobs/${job.id}/image?index=2`);
  assertEquals([wrong.status, (await wrong.json()).error.param], [400, "index"]);
  const latents = await app.request(`/v1/jobs/${job.id}/latents`);
  assertEquals(latents.headers.get("x-latent-shape"), "2,1,4,6");
  const [, second] = [0, 24].map((at) => at * 4);
  const alone = await toy.render({ pictures: [{ label: 1, seed: 8, guidance: 2 }], steps: 1 });
  assertEquals(new Float32Array((await latents.arrayBuffer()).slice(second)), alone.latents.data);
});

Deno.test("previews come for each step but the last, before the end", async () => {
  const { app, id } = await finishedJob({ previews: true });
  const events = await eventsOf(app, id);
  const previews = events.filter(({ event }) => event === "preview");
  assertEquals(previews.length, 1, "of those that are over only the newest is kept");
  assertEquals([previews[0]!.data["index"], events.at(-1)!.event], [2, "completed"]);
  assertEquals(decode(bytesOf(previews[0]!.data["b64_json"] as string)).width, 6);
});

Deno.test("a watcher that comes back goes on where it was", async () => {
  const { app, id } = await finishedJob({});
  const all = await eventsOf(app, id);
  const rest = await eventsOf(app, id, { "last-event-id": all[2]!.id });
  assertEquals(rest, all.slice(3));
  const wrong = await app.request(`/v1/jobs/${id}/events`, { headers: { "last-event-id": "x" } });
  assertEquals([wrong.status, (await wrong.json()).error.param], [400, "Last-Event-ID"]);
});

Deno.test("jobs that wait are told their place, and move up", async () => {
  const toy = new ToyRenderer();
  const app = await toyApp([toy], { limits: { batch: 1 } });
  const { id: first } = await (await post(app, "/v1/jobs", { label: 0 })).json();
  await eventsOf(app, first); // its steps are measured
  toy.hold();
  const ids: string[] = [];
  for (const seed of [1, 2, 3]) {
    ids.push((await (await post(app, "/v1/jobs", { label: 0, seed })).json()).id);
  }
  assertEquals((await (await app.request(`/v1/jobs/${ids[2]}`)).json()).queue_position, 1);
  const watched = app.request(`/v1/jobs/${ids[2]}/events`);
  const deleted = await app.request(`/v1/jobs/${ids[1]}`, { method: "DELETE" });
  assertEquals((await deleted.json()).state, "cancelled");
  toy.release();
  const events = parseEvents(await (await watched).text());
  const places = events.filter(({ event }) => event === "queued");
  assertEquals(places.map(({ data }) => data["queue_position"]).at(-1), 0);
  assertEquals(typeof places.at(-1)!.data["eta_seconds"], "number"); // steps were measured
});

Deno.test("a job that runs is cancelled at the next step; watchers hear of it", async () => {
  const toy = new ToyRenderer();
  const app = await toyApp([toy]);
  toy.hold();
  const { id } = await (await post(app, "/v1/jobs", { label: 0 })).json();
  const watched = textOf(app, `/v1/jobs/${id}/events`);
  toy.letGo();
  await until(() => toy.drawing === 1);
  await app.request(`/v1/jobs/${id}`, { method: "DELETE" });
  await until(() => toy.stopped === 1);
  assertEquals(parseEvents(await watched).at(-1)?.event, "cancelled");
  const again = await app.request(`/v1/jobs/${id}`, { method: "DELETE" });
  assertEquals((await again.json()).state, "cancelled");
});

Deno.test("a job that fails says why", async () => {
  const toy = new ToyRenderer();
  const app = await toyApp([toy]);
  toy.failure = new RangeError("Cannot generate: it must work");
  const { id } = await (await post(app, "/v1/jobs", { label: 0 })).json();
  const last = (await eventsOf(app, id)).at(-1)!;
  assertEquals(last.event, "failed");
  assertEquals((last.data["error"] as { code: string }).code, "out_of_range");
});

Deno.test("a watcher that leaves cancels nothing", async () => {
  const toy = new ToyRenderer();
  const app = await toyApp([toy]);
  toy.hold();
  const { id } = await (await post(app, "/v1/jobs", { label: 0 })).json();
  const response = await app.request(`/v1/jobs/${id}/events`);
  const reader = response.body!.getReader();
  await reader.read();
  await reader.cancel();
  toy.release();
  assertEquals((await eventsOf(app, id)).at(-1)?.event, "completed");
});

Deno.test("a job that is to be watched is cancelled when nobody comes, or all have left", async () => {
  const toy = new ToyRenderer();
  const app = await toyApp([toy], { limits: { unwatchedSeconds: 0.05 } });
  toy.hold();
  const job = { label: 0, watched: true };
  const { id: lonely } = await (await post(app, "/v1/jobs", job)).json();
  assertEquals((await jobThatIs(app, lonely, "cancelled")).state, "cancelled"); // a tab that closed too early
  const { id } = await (await post(app, "/v1/jobs", { ...job, seed: 2 })).json();
  const response = await app.request(`/v1/jobs/${id}/events`);
  const reader = response.body!.getReader();
  await reader.read();
  assertEquals((await (await app.request(`/v1/jobs/${id}`)).json()).state, "running");
  await reader.cancel();
  assertEquals((await jobThatIs(app, id, "cancelled")).state, "cancelled");
  await until(() => toy.stopped === 2);
});

Deno.test("a job that is watched to its end is drawn, however short a watch may be absent", async () => {
  const toy = new ToyRenderer();
  const app = await toyApp([toy], { limits: { unwatchedSeconds: 5 } });
  toy.hold();
  const { id } = await (await post(app, "/v1/jobs", { label: 0, watched: true })).json();
  const first = await app.request(`/v1/jobs/${id}/events`);
  const reader = first.body!.getReader();
  await reader.read();
  await reader.cancel();
  const events = eventsOf(app, id); // comes back in time
  toy.release();
  assertEquals((await events).at(-1)?.event, "completed"); // and leaves no timer behind
});

Deno.test("finished jobs are kept in bounded number", async () => {
  const toy = new ToyRenderer();
  const app = await toyApp([toy], { limits: { kept: 2 } });
  const ids: string[] = [];
  for (const seed of [1, 2, 3]) {
    const { id } = await (await post(app, "/v1/jobs", { label: 0, seed })).json();
    await eventsOf(app, id);
    ids.push(id);
  }
  await until(() => toy.drawing === 0);
  const statuses = await Promise.all(
    ids.map(async (id) => (await app.request(`/v1/jobs/${id}`)).status),
  );
  assertEquals(statuses, [404, 200, 200]);
});

async function finishedJob(body: Record<string, unknown>): Promise<{ app: App; id: string }> {
  const app = await toyApp();
  const { id } = await (await post(app, "/v1/jobs", { label: 0, seed: 1, ...body })).json();
  await eventsOf(app, id);
  return { app, id };
}

/** What a job is once it is of a state; it is asked for, for nobody may follow it. */
async function jobThatIs(app: App, id: string, state: string): Promise<{ readonly state: string }> {
  for (;;) {
    const job = await (await app.request(`/v1/jobs/${id}`)).json();
    if (job.state === state) return job;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function eventsOf(
  app: App,
  id: string,
  headers: Record<string, string> = {},
): Promise<ReturnType<typeof parseEvents>> {
  return parseEvents(await (await app.request(`/v1/jobs/${id}/events`, { headers })).text());
}

function bytesOf(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

async function textOf(app: App, path: string): Promise<string> {
  return await (await app.request(path)).text();
}
