/**
 * How a shared queue bears work: how soon each process says that it is well while two workers draw, and what many jobs
 * leave in each of them and in Redis.
 *
 *     deno task bench:cluster [--seconds 20] [--jobs 2000]
 *
 * Two servers and two workers (fashion-dit on wasm, one thread each) in processes of their own, over a Redis on
 * loopback. Needs `redis-server`.
 */

import { REDIS } from "../../tests/server/cluster/stores.ts";
import { ClusterProcesses } from "../prove/cluster_processes.ts";
import { parseArgs } from "../parse_args.ts";
import { percentile, readMetric } from "./served.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "20" },
    jobs: { type: "string", default: "2000" },
  },
});
/** Jobs that are open at once. */
const AT_ONCE = 24;
/** Milliseconds between two looks at a process. */
const LOOK_MS = 25;
const KIB = 1024;

const cluster = await ClusterProcesses.start(REDIS, ["deno", "deno"]);
try {
  await ready();
  await health();
  await growth();
} finally {
  await cluster.stop();
}
Deno.exit();

async function ready(): Promise<void> {
  for (let tries = 0; tries < 600; tries++) {
    const all = [...cluster.servers, ...cluster.workers].map(async (url) => {
      const response = await fetch(`${url}/readyz`);
      await response.body?.cancel();
      return response.ok;
    });
    if ((await Promise.all(all)).every((ok) => ok)) return;
    await pause(100);
  }
  throw new Error("the processes were not ready within a minute");
}

/** Asks every process whether it is well, while workers have more to draw than they can. */
async function health(): Promise<void> {
  const until = performance.now() + Number(values.seconds) * 1000;
  let drawn = 0;
  const clients = Array.from({ length: AT_ONCE }, async (_, i) => {
    while (performance.now() < until) {
      await draw(drawn++ + i, 20);
    }
  });
  await pause(2000); // until workers are busy
  const rows = [["servers", cluster.servers], ["workers", cluster.workers]] as const;
  const told = await Promise.all(rows.map(async ([name, urls]) => {
    const each = await Promise.all(urls.map((url) => looks(url, until)));
    return [name, each.flat()] as const;
  }));
  await Promise.all(clients);
  for (const [name, times] of told) {
    const at = (share: number): string => percentile(times, share).toFixed(1);
    const all = `${times.length} looks of two processes, ${drawn} jobs meanwhile`;
    console.log(
      `/healthz of ${name}: median ${at(0.5)} ms, p95 ${at(0.95)} ms, p99 ${at(0.99)} ms (${all})`,
    );
  }
}

async function looks(url: string, until: number): Promise<readonly number[]> {
  const times: number[] = [];
  while (performance.now() < until) {
    const began = performance.now();
    await (await fetch(`${url}/healthz`)).text();
    times.push(performance.now() - began);
    await pause(LOOK_MS);
  }
  return times;
}

/** Over the second half: what comes first warms up. */
async function growth(): Promise<void> {
  const half = Number(values.jobs) / 2;
  await many(half);
  const before = await memory();
  await many(half);
  const after = await memory();
  for (const [name, kib] of after) {
    const each = (kib - before.get(name)!) / half;
    console.log(`each of ${half} jobs left ${each.toFixed(1)} KiB in ${name}`);
  }
}

async function many(jobs: number): Promise<void> {
  let next = 0;
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    while (next < jobs) await draw(next++, 1);
  }));
}

/** A job, added at one server and followed at the other. */
async function draw(seed: number, steps: number): Promise<void> {
  const [one, other] = seed % 2 ? cluster.servers : [...cluster.servers].reverse();
  const response = await fetch(`${one}/v1/jobs`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ prompt: "sneaker", seed, steps, plan: "none" }),
  });
  const { id } = await response.json();
  await (await fetch(`${other}/v1/jobs/${id}/events`)).text();
}

/** KiB of each process, and of what Redis has. */
async function memory(): Promise<ReadonlyMap<string, number>> {
  const sizes = new Map([["Redis", await cluster.store.usedBytes() / KIB]]);
  for (const [name, urls] of [["server", cluster.servers], ["worker", cluster.workers]] as const) {
    for (const [i, url] of urls.entries()) {
      sizes.set(`${name} ${i + 1}`, await readMetric(url, "process_resident_memory_bytes") / KIB);
    }
  }
  return sizes;
}

async function pause(milliseconds: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, milliseconds));
}
