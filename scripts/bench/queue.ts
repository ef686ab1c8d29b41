/**
 * What a shared queue costs beside one in memory, with a renderer that answers at once: from POST to the last event,
 * and what is left of many jobs.
 *
 *     deno task bench:queue [--rounds 15] [--jobs 2000]
 *
 * A round is 20 jobs by a server in memory and 20 by a server whose jobs a second one draws, over a Redis of their
 * own on loopback. Needs `redis-server`.
 */

import { Redis } from "npm:ioredis@5.11.1";
import { median } from "../../src/calibrate/median.ts";
import type { App } from "../../src/server/app.ts";
import { RedisServer } from "../../tests/server/cluster/redis_fixture.ts";
import { eventually, isReady, sharedApp } from "../../tests/server/cluster/shared_server.ts";
import { post, toyApp, ToyRenderer } from "../../tests/server/toy_renderer.ts";
import { parseArgs } from "../parse_args.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "15" },
    jobs: { type: "string", default: "2000" },
  },
});
const JOBS_PER_ROUND = 20;
const KIB = 1024;

const redis = await RedisServer.start();
const client = new Redis(redis.url);
const limits = { keptSeconds: 600 };
const [memory, worker, shared] = [
  await toyApp([new ToyRenderer()], { limits }),
  await sharedApp(redis.url, [new ToyRenderer()], { limits }),
  await sharedApp(redis.url, [], { limits }),
];
await eventually(() => isReady(shared));
await latency();
await growth();
await Promise.all([memory, worker, shared].map((app) => app.drain()));
client.disconnect();
await redis[Symbol.asyncDispose]();
Deno.exit();

async function latency(): Promise<void> {
  const own: number[] = [];
  const others: number[] = [];
  for (let round = 0; round < Number(values.rounds); round++) {
    for (let i = 0; i < JOBS_PER_ROUND; i++) own.push(await milliseconds(memory, i));
    for (let i = 0; i < JOBS_PER_ROUND; i++) others.push(await milliseconds(shared, i));
  }
  const [alone, together] = [median(own), median(others)];
  console.log(`in memory ${alone.toFixed(1)} ms, shared ${together.toFixed(1)} ms`);
}

async function milliseconds(app: App, seed: number): Promise<number> {
  const began = performance.now();
  const { id } = await (await post(app, "/v1/jobs", { prompt: "sneaker", seed, steps: 1 })).json();
  await (await app.request(`/v1/jobs/${id}/events`)).text();
  return performance.now() - began;
}

/** Over the second half: what comes first warms up, and expires later. */
async function growth(): Promise<void> {
  const half = Number(values.jobs) / 2;
  for (let i = 0; i < half; i++) await milliseconds(shared, i);
  const before = await kib();
  for (let i = 0; i < half; i++) await milliseconds(shared, i);
  const after = await kib();
  const process = (after.process - before.process) / half;
  const store = (after.store - before.store) / half;
  console.log(
    `each of ${half} jobs left ${process.toFixed(1)} KiB here and ${store.toFixed(1)} in Redis`,
  );
}

async function kib(): Promise<{ readonly process: number; readonly store: number }> {
  const [, used = "0"] = /used_memory:(\d+)/.exec(await client.info("memory")) ?? [];
  return { process: Deno.memoryUsage().rss / KIB, store: Number(used) / KIB };
}
