/**
 * Presses on a server: many requests at once, some of them cancelled, some malformed.
 *
 *     deno task load                         200 requests, 16 at once, fashion-dit on wasm
 *     deno task load --requests 20 --json
 *
 * Fails when a request is lost, when a picture is not the one that its seed gives alone (float32 latents,
 * bit for bit), or when the 95th percentile of `/healthz` is above 50 ms.
 */
import { parseArgs } from "../parse_args.ts";
import { openLocalRenderer } from "../../src/worker/local_renderer.ts";
import type { BackendName } from "../../src/backend/backend.ts";
import { percentile, type Served, startServer } from "./served.ts";
import { FASHION_DIT } from "../fashion_dit.ts";

interface Ask {
  readonly label: number;
  readonly seed: number;
  readonly steps: number;
  readonly guidance: number;
}

interface Drawn extends Ask {
  readonly latents: Float32Array;
}

type Outcome = "drawn" | "cancelled" | "refused";

const HEALTH_LIMIT_MS = 50;
const HEALTH_EVERY_MS = 20;
/** Broken in different ways; each must be refused with 4xx. */
const MALFORMED = [
  '{"prompt":',
  "[]",
  '{"label":99}',
  '{"label":0,"n":1000}',
  '{"label":0,"steps":-1}',
  '{"prompt":"a dog"}',
  '{"label":0,"colour":"red"}',
  "\x00\xff",
];

const { values } = parseArgs({
  options: {
    requests: { type: "string", default: "200" },
    concurrency: { type: "string", default: "16" },
    backend: { type: "string", default: "wasm" },
    threads: { type: "string", default: "2" },
    json: { type: "boolean", default: false },
  },
});
const backend = values.backend as BackendName; // openLocalRenderer() refuses others
const served = await startServer(["--backend", backend, "--threads", values.threads]);
const report = await press(served).finally(() => served.stop());
console.log(values.json ? JSON.stringify(report) : describe(report));
if (report.faults.length > 0) Deno.exit(1);

interface Report {
  readonly requests: number;
  readonly drawn: number;
  readonly cancelled: number;
  readonly refused: number;
  readonly largestBatch: number;
  readonly seconds: number;
  readonly healthMs: {
    readonly count: number;
    readonly p50: number;
    readonly p95: number;
    readonly max: number;
  };
  readonly faults: readonly string[];
}

async function press({ url }: Served): Promise<Report> {
  const count = Number(values.requests);
  const started = performance.now();
  const faults: string[] = [];
  const drawn: Drawn[] = [];
  const outcomes: Outcome[] = [];
  const batches: number[] = [];
  const health = watchHealth(url);
  let next = 0;
  await Promise.all(Array.from({ length: Number(values.concurrency) }, async () => {
    while (next < count) {
      const index = next++;
      try {
        outcomes.push(await one(url, index, { drawn, batches }));
      } catch (error) {
        faults.push(`request ${index}: ${error instanceof Error ? error.message : error}`);
      }
    }
  }));
  const seconds = (performance.now() - started) / 1000;
  const times = await health.end();
  faults.push(...await crossed(drawn));
  if (outcomes.length !== count) faults.push(`${count - outcomes.length} requests were lost`);
  const healthMs = {
    count: times.length,
    p50: percentile(times, 0.5),
    p95: percentile(times, 0.95),
    max: Math.max(...times),
  };
  if (!(healthMs.p95 <= HEALTH_LIMIT_MS)) faults.push(`p95 of /healthz is ${healthMs.p95} ms`);
  const tally = (wanted: Outcome): number => outcomes.filter((each) => each === wanted).length;
  return {
    requests: count,
    drawn: tally("drawn"),
    cancelled: tally("cancelled"),
    refused: tally("refused"),
    largestBatch: Math.max(0, ...batches),
    seconds,
    healthMs,
    faults,
  };
}

/** One request in ten is malformed, two in ten are cancelled, the others are drawn. */
async function one(
  url: string,
  index: number,
  { drawn, batches }: { readonly drawn: Drawn[]; readonly batches: number[] },
): Promise<Outcome> {
  const kind = index % 10;
  if (kind === 9) return await refused(url, index);
  const ask = { label: index % 10, seed: 5000 + index, steps: 8, guidance: 1.5 + index % 3 / 2 };
  const { label, seed, steps, guidance: guidance_scale } = ask;
  const response = await post(url, JSON.stringify({ label, seed, steps, guidance_scale }));
  const job = await response.json();
  if (response.status !== 202) throw new Error(`status ${response.status}: ${JSON.stringify(job)}`);
  if (kind === 3 || kind === 6) return await cancelled(url, job.id, kind === 6);
  const finished = await finalState(url, job.id);
  if (finished.state !== "completed") throw new Error(`state ${finished.state}`);
  batches.push(finished.batch);
  const latents = await fetch(`${url}/v1/jobs/${job.id}/latents`);
  drawn.push({ ...ask, latents: new Float32Array(await latents.arrayBuffer()) });
  return "drawn";
}

async function post(url: string, body: string): Promise<Response> {
  const headers = { "content-type": "application/json" };
  return await fetch(`${url}/v1/jobs`, { method: "POST", headers, body });
}

async function refused(url: string, index: number): Promise<Outcome> {
  const response = await post(url, MALFORMED[Math.floor(index / 10) % MALFORMED.length]!);
  const { error } = await response.json();
  if (response.status >= 400 && response.status < 500 && typeof error.message === "string") {
    return "refused";
  }
  throw new Error(`malformed request got ${response.status}`);
}

/** Cancels at once, or when it has begun. */
async function cancelled(url: string, id: string, begun: boolean): Promise<Outcome> {
  if (begun) {
    const response = await fetch(`${url}/v1/jobs/${id}/events`);
    for await (const text of response.body!.pipeThrough(new TextDecoderStream())) {
      if (/event: (step|completed)/.test(text)) break; // leaving the loop ends the stream
    }
  }
  await (await fetch(`${url}/v1/jobs/${id}`, { method: "DELETE" })).body?.cancel();
  const { state } = await finalState(url, id);
  if (state === "cancelled" || (begun && state === "completed")) return "cancelled"; // it may have been quicker
  throw new Error(`cancelled job is ${state}`);
}

/** Reads a job's events to the end; the last one is the job. */
async function finalState(url: string, id: string): Promise<{ state: string; batch: number }> {
  const text = await (await fetch(`${url}/v1/jobs/${id}/events`)).text();
  const last = text.trimEnd().split("\n\n").at(-1) ?? "";
  return JSON.parse(/^data: (.*)$/m.exec(last)?.[1] ?? "{}");
}

/** Asks for `/healthz` again and again. */
function watchHealth(url: string): { end(): Promise<readonly number[]> } {
  const times: number[] = [];
  let over = false;
  const watching = (async () => {
    while (!over) {
      const before = performance.now();
      await (await fetch(`${url}/healthz`)).body?.cancel();
      times.push(performance.now() - before);
      await new Promise((resolve) => setTimeout(resolve, HEALTH_EVERY_MS));
    }
  })();
  return {
    async end(): Promise<readonly number[]> {
      over = true;
      await watching;
      return times;
    },
  };
}

/** Pictures that are not what their seed gives alone. */
async function crossed(drawn: readonly Drawn[]): Promise<string[]> {
  const renderer = await openLocalRenderer({
    model: FASHION_DIT,
    backend,
    threads: Number(values.threads),
  });
  const faults: string[] = [];
  for (const { label, seed, steps, guidance, latents } of drawn) {
    const alone = await renderer.render({ pictures: [{ label, seed, guidance }], steps });
    const same = latents.length === alone.latents.data.length &&
      latents.every((value, i) => Object.is(value, alone.latents.data[i]));
    if (!same) faults.push(`the picture of seed ${seed} is another one`);
  }
  await renderer.close();
  return faults;
}

function describe(
  { requests, drawn, cancelled, refused, largestBatch, seconds, healthMs, faults }: Report,
): string {
  const { count, p50, p95, max } = healthMs;
  return [
    `${requests} requests in ${
      seconds.toFixed(1)
    } s: ${drawn} drawn, ${cancelled} cancelled, ${refused} refused`,
    `largest batch ${largestBatch} pictures; every picture is the one that its seed gives alone: ` +
    (faults.length === 0 ? "yes" : "no"),
    `/healthz ${count} times: median ${p50.toFixed(1)} ms, p95 ${p95.toFixed(1)} ms, max ${
      max.toFixed(1)
    } ms`,
    ...faults.map((fault) => `fault: ${fault}`),
  ].join("\n");
}
