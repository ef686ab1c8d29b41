/**
 * What a shared queue costs beside one in memory, with a renderer that answers at once: from POST to the last event,
 * and what is left of many jobs.
 *
 *     deno task bench:queue [--queue redis,postgres] [--durable] [--rounds 15] [--jobs 2000]
 *
 * A round is 20 jobs by a server in memory and 20 by a server whose jobs a second one draws, over a store of their
 * own on loopback, which with `--durable` loses nothing by SIGKILL. Needs `redis-server` and `postgresql`.
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

const memory = await toyApp([new ToyRenderer()], { limits });
for (const name of values.queue.split(",")) await measure(name === "postgres" ? POSTGRES : REDIS);
await memory.drain();
Deno.exit();

async function measure(kind: StoreKind): Promise<void> {
  await using store = await kind.start({ durable: values.durable });
  const worker = await sharedApp(store.url, [new ToyRenderer()], { limits });
  const shared = await sharedApp(store.url, [], { limits });
  await eventually(() => isReady(shared));
  console.log(`${kind.name}: ${await latency(shared)}; ${await growth(shared, store)}`);
  await Promise.all([worker, shared].map((app) => app.drain()));
}

async function latency(shared: App): Promise<string> {
  const own: number[] = [];
  const others: number[] = [];
  for (let round = 0; round < Number(values.rounds); round++) {
    for (let i = 0; i < JOBS_PER_ROUND; i++) own.push(await milliseconds(memory, i));
    for (let i = 0; i < JOBS_PER_ROUND; i++) others.push(await milliseconds(shared, i));
  }
  const [alone, together] = [median(own), median(others)];
  return `a job takes ${alone.toFixed(1)} ms in memory, ${together.toFixed(1)} ms shared`;
}

async function milliseconds(app: App, seed: number): Promise<number> {
  const began = performance.now();
  const { id } = await (await post(app, "/v1/jobs", { prompt: "sneaker", seed, steps: 1 })).json();
  await (await app.request(`/v1/jobs/${id}/events`)).text();
  return performance.now() - began;
}

/** Over the second half: what comes first warms up, and expires later. */
async function growth(shared: App, store: StoreServer): Promise<string> {
  const half = Number(values.jobs) / 2;
  for (let i = 0; i < half; i++) await milliseconds(shared, i);
  const before = await kib(store);
  for (let i = 0; i < half; i++) await milliseconds(shared, i);
  const after = await kib(store);
  const [here, there] = after.map((size, i) => ((size - before[i]!) / half).toFixed(1));
  return `each of ${half} left ${here} KiB in the process and ${there} in the store`;
}

/** Of this process, and of what the store has. */
async function kib(store: StoreServer): Promise<readonly number[]> {
  return [Deno.memoryUsage().rss / KIB, await store.usedBytes() / KIB];
}
