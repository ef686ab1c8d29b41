/**
 * What the server costs and what batching gains, as ratios of medians of alternating runs:
 *
 *     deno task bench:server                     wasm, fashion-dit, bundled plan
 *     deno task bench:server --backend native
 *
 * - seconds a picture by HTTP ÷ by the library, in processes of the same threads
 * - pictures a second of four clients at once ÷ of one
 * - pictures a second of a batch of n ÷ one by one, in the library
 */
import { parseArgs } from "../parse_args.ts";
import type { BackendName } from "../../src/backend/backend.ts";
import { loadPlan } from "../../src/engine/bundled_plans.ts";
import { toPictures } from "../../src/image/picture.ts";
import { encodePng } from "../../src/image/png.ts";
import { openLocalRenderer } from "../../src/worker/local_renderer.ts";
import { percentile, startServer } from "./served.ts";
import { FASHION_DIT } from "../fashion_dit.ts";

const PLAN = "fashion-dit.5x";
const BATCHES = [2, 4, 8, 16];
const CLIENTS = 4;

const { values } = parseArgs({
  options: {
    backend: { type: "string", default: "wasm" },
    threads: { type: "string", default: "2" },
    rounds: { type: "string", default: "7" },
  },
});
const backend = values.backend as BackendName; // openLocalRenderer() refuses others
const rounds = Number(values.rounds);
const plan = loadPlan(PLAN);
const steps = plan.rows.length;
const renderer = await openLocalRenderer({
  model: FASHION_DIT,
  backend,
  threads: Number(values.threads),
});
const served = await startServer(["--backend", backend, "--threads", values.threads, "--quiet"]);
try {
  await byLibrary(1, 0);
  await byHttp(0);
  const http = await alternate({
    library: (seed) => byLibrary(1, seed),
    http: (seed) => byHttp(seed),
  });
  console.log(`${backend}, ${values.threads} threads, ${PLAN}, medians of ${rounds} rounds`);
  console.log(
    `a picture: library ${ms(http.library)}, by HTTP ${ms(http.http)}: × ${
      (http.http! / http.library!).toFixed(3)
    }`,
  );
  const together = await alternate({
    one: (seed) => clients(1, seed),
    four: (seed) => clients(CLIENTS, seed),
  });
  console.log(
    `${2 * CLIENTS} pictures by HTTP: one client ${ms(together.one)}, ${CLIENTS} clients ${
      ms(together.four)
    }: throughput × ${(together.one! / together.four!).toFixed(2)}`,
  );
} finally {
  await served.stop();
}
for (const batch of BATCHES) {
  const { alone, together } = await alternate({
    alone: async (seed) => {
      for (let i = 0; i < batch; i++) await byLibrary(1, seed + i);
    },
    together: (seed) => byLibrary(batch, seed),
  });
  console.log(
    `batch of ${batch}: one by one ${ms(alone)}, together ${ms(together)}: throughput × ${
      (alone! / together!).toFixed(2)
    }`,
  );
}
await renderer.close();

/** Median seconds of each way; the ways take turns. */
async function alternate<Way extends string>(
  ways: Readonly<Record<Way, (seed: number) => Promise<void>>>,
): Promise<Record<Way, number>> {
  const names = Object.keys(ways) as Way[]; // of a record with just these keys
  const seconds = new Map<Way, number[]>(names.map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const name of names) {
      const started = performance.now();
      await ways[name](1000 * round);
      seconds.get(name)!.push((performance.now() - started) / 1000);
    }
  }
  const medians = names.map((name) => [name, percentile(seconds.get(name)!, 0.5)]);
  return Object.fromEntries(medians);
}

async function byLibrary(count: number, seed: number): Promise<void> {
  const pictures = Array.from({ length: count }, (_, i) => ({
    label: i % 10,
    seed: seed + i,
    guidance: 2,
  }));
  const { latents } = await renderer.render({ pictures, steps, plan });
  await Promise.all(toPictures(latents).map((picture) => encodePng(picture)));
}

async function byHttp(seed: number): Promise<void> {
  const response = await fetch(`${served.url}/v1/images/generations`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ label: 0, seed, plan: PLAN }),
  });
  if (!response.ok) throw new Error(await response.text());
  await response.arrayBuffer();
}

/** Eight pictures by so many clients. */
async function clients(count: number, seed: number): Promise<void> {
  const each = 2 * CLIENTS / count;
  await Promise.all(Array.from({ length: count }, async (_, client) => {
    for (let i = 0; i < each; i++) await byHttp(seed + client * each + i);
  }));
}

function ms(seconds: number): string {
  return `${(seconds * 1000).toFixed(0)} ms`;
}
