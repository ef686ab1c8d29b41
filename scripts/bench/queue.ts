/**
 * What a shared queue costs beside one in memory, with a renderer that answers at once: from POST to the last event,
 * and what is left of many jobs.
 *
 *     deno task bench:queue [--queue redis,postgres] [--durable] [--rounds 15] [--jobs 2000]
 *
 * A round is 20 jobs by a server in memory and 20 by a server whose jobs a second one draws, over a store of their
 * own on loopback, which with `--durable` loses nothing by SIGKILL. Prints a table. Needs `redis-server` and
 * `postgresql`.
 */

import { median } from "../../src/calibrate/median.ts";
import type { App } from "../../src/server/app.ts";
import { eventually, isReady, sharedApp } from "../../tests/server/cluster/shared_server.ts";
import {
  POSTGRES,
  REDIS,
  type StoreKind,
  type StoreServer,
} from "../../tests/server/cluster/stores.ts";
import { post, toyApp, ToyRenderer } from "../../tests/server/toy_renderer.ts";
import { parseArgs } from "../parse_args.ts";

const { values } = parseArgs({
  options: {
    queue: { type: "string", default: "redis,postgres" },
    durable: { type: "boolean", default: false },
    rounds: { type: "string", default: "15" },
    jobs: { type: "string", default: "2000" },
  },
});
const JOBS_PER_ROUND = 20;
const KIB = 1024;
const limits = { keptSeconds: 600 };

/** What was measured of a store, in the order of the rows. */
type Column = readonly [name: string, alone: number, shared: number, here: number, there: number];

const memory = await toyApp([new ToyRenderer()], { limits });
const columns: Column[] = [];
for (const name of values.queue.split(",")) {
  columns.push(await measured(name === "postgres" ? POSTGRES : REDIS));
}
await memory.drain();
const rows = [
  ["in memory, from POST to a job's last event", "ms"],
  ["shared, drawn by another server", "ms"],
  ["left of each job in the process", "KiB"],
  ["left of each job in the store, until it expires", "KiB"],
] as const;
console.log(`| what | ${columns.map(([name]) => name).join(" | ")} |`);
console.log(`| --- |${" --- |".repeat(columns.length)}`);
for (const [i, [what, unit]] of rows.entries()) {
  const cells = columns.map(([, ...numbers]) => `${numbers[i]!.toFixed(1)} ${unit}`);
  console.log(`| ${what} | ${cells.join(" | ")} |`);
}
Deno.exit();

async function measured(kind: StoreKind): Promise<Column> {
  await using store = await kind.start({ durable: values.durable });
  const worker = await sharedApp(store.url, [new ToyRenderer()], { limits });
  await eventually(() => isReady(worker));
  const shared = await sharedApp(store.url, [], { limits });
  await eventually(() => isReady(shared));
  const column: Column = [kind.name, ...await latency(shared), ...await growth(shared, store)];
  await Promise.all([worker, shared].map((app) => app.drain()));
  return column;
}

async function latency(shared: App): Promise<readonly [alone: number, together: number]> {
  const own: number[] = [];
  const others: number[] = [];
  for (let round = 0; round < Number(values.rounds); round++) {
    for (let i = 0; i < JOBS_PER_ROUND; i++) own.push(await milliseconds(memory, i));
    for (let i = 0; i < JOBS_PER_ROUND; i++) others.push(await milliseconds(shared, i));
  }
  return [median(own), median(others)];
}

async function milliseconds(app: App, seed: number): Promise<number> {
  const began = performance.now();
  const { id } = await (await post(app, "/v1/jobs", { prompt: "sneaker", seed, steps: 1 })).json();
  await (await app.request(`/v1/jobs/${id}/events`)).text();
  return performance.now() - began;
}

/** Over the second half: what comes first warms up, and expires later. */
async function growth(
  shared: App,
  store: StoreServer,
): Promise<readonly [here: number, there: number]> {
  const half = Number(values.jobs) / 2;
  for (let i = 0; i < half; i++) await milliseconds(shared, i);
  const before = await kib(store);
  for (let i = 0; i < half; i++) await milliseconds(shared, i);
  const after = await kib(store);
  return [(after[0] - before[0]) / half, (after[1] - before[1]) / half];
}

/** Of this process, and of what the store has. */
async function kib(store: StoreServer): Promise<readonly [here: number, there: number]> {
  return [Deno.memoryUsage().rss / KIB, await store.usedBytes() / KIB];
}
