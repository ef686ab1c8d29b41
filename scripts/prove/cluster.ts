/**
 * Whether servers that share a queue lose, double or spoil anything while their workers, their store and one of
 * themselves die.
 *
 *     deno task prove:cluster [--queue redis|postgres] [--jobs 300] [--kills 10] [--runtimes deno,bun,node]
 *
 * Two servers take jobs, a worker for each runtime draws fashion-dit on wasm with one thread. Each job is added to
 * one server and followed through the other, by its client, until it has ended; a tenth of the requests is
 * malformed, a fifth of the jobs is cancelled. Meanwhile workers are killed, the store is stopped twice in good order and
 * once by SIGKILL, and one server is stopped and started again. Completed jobs must have the bits that their seed
 * gives alone. Needs `redis-server` or `postgresql`; prints a table, exits with 1 where anything is wrong.
 */

import { median } from "../../src/calibrate/median.ts";
import { openPipeline } from "../../src/engine/open_pipeline.ts";
import { POSTGRES, REDIS, type StoreKind } from "../../tests/server/cluster/stores.ts";
import { FASHION_DIT } from "../fashion_dit.ts";
import { parseArgs } from "../parse_args.ts";
import { CLUSTER_LEASE, ClusterProcesses } from "./cluster_processes.ts";
import { JobClient, type JobOutcome } from "./job_client.ts";

/** How much of it. */
export interface ProofSize {
  /** What the queue lies in. */
  readonly kind: StoreKind;
  readonly jobs: number;
  /** Workers that are killed; of the store's stops and the server's, as many as fit between. */
  readonly kills: number;
  /** A worker for each. */
  readonly runtimes: readonly string[];
}

/** What came of it. */
export interface ClusterProof {
  readonly rows: readonly (readonly [what: string, value: string])[];
  readonly outcomes: readonly JobOutcome[];
  /** What should not have been, in sentences. */
  readonly wrong: readonly string[];
}

/** Pictures that jobs ask for: few, so that each can be drawn alone beforehand. */
const SEEDS = 8;
const STEPS = 6;
/** Milliseconds from one client to the next. */
const PAUSE_MS = 200;

/** Runs the proof. */
export async function proveCluster(size: ProofSize): Promise<ClusterProof> {
  const expected = await drawnAlone();
  const cluster = await ClusterProcesses.start(size.kind, size.runtimes);
  const began = Date.now();
  try {
    const trouble = makeTrouble(cluster, size);
    const clients = Array.from({ length: size.jobs }, (_, i) => oneJob(cluster, i, expected));
    const [outcomes] = await Promise.all([Promise.all(clients), trouble]); // whichever fails is told
    return proofOf(cluster, outcomes, (Date.now() - began) / 1000);
  } finally {
    await cluster.stop();
  }
}

/** Latents by seed. */
async function drawnAlone(): Promise<readonly Float32Array[]> {
  const pipeline = await openPipeline({ model: FASHION_DIT, backend: "wasm", threads: 1 });
  try {
    const all: Float32Array[] = [];
    for (let seed = 0; seed < SEEDS; seed++) {
      const { latents } = await pipeline.generate({
        labels: [7],
        seed,
        steps: STEPS,
        plan: "none",
      });
      all.push(latents.data);
    }
    return all;
  } finally {
    await pipeline.close();
  }
}

/** A client, which comes at its own time and follows what it asked for to the end. */
async function oneJob(
  cluster: ClusterProcesses,
  i: number,
  expected: readonly Float32Array[],
): Promise<JobOutcome> {
  await pause(i * PAUSE_MS);
  const client = new JobClient(() => cluster.servers, i);
  if (i % 10 === 3) return await client.askBadly();
  const seed = i % SEEDS;
  const body = { prompt: "sneaker", seed, steps: STEPS, plan: "none" };
  const cancelAfter = i % 5 === 1 ? 50 + (i * 37) % 900 : undefined;
  return await client.askAndFollow(body, { cancelAfter, expected: expected[seed]! });
}

/** Kills one after the other, spread over the time in which jobs come. */
async function makeTrouble(
  cluster: ClusterProcesses,
  { jobs, kills }: ProofSize,
): Promise<void> {
  const share = (part: number): number => Math.floor(kills * part);
  for (let kill = 0; kill < kills; kill++) {
    await pause(jobs * PAUSE_MS / (kills + 1));
    await cluster.killWorker(kill);
    if (kill === share(1 / 4)) await cluster.stopStore("SIGTERM");
    if (kill === share(1 / 2)) await cluster.stopStore("SIGKILL");
    if (kill === share(2 / 3)) await cluster.restartServer();
    if (kill === share(3 / 4)) await cluster.stopStore("SIGTERM");
  }
}

function proofOf(
  { killed, stopped }: ClusterProcesses,
  outcomes: readonly JobOutcome[],
  seconds: number,
): ClusterProof {
  const count = (end: JobOutcome["end"]): string =>
    `${outcomes.filter((one) => one.end === end).length}`;
  const wrong = outcomes.flatMap(({ wrong }) => wrong);
  const drawn = outcomes.flatMap((one) => one.end === "completed" ? [one.seconds] : []);
  const rows = [
    ["requests", `${outcomes.length}`],
    ["malformed, refused", count("refused")],
    ["completed, with the bits of their seeds", count("completed")],
    ["cancelled", count("cancelled")],
    ["failed with a reason", count("failed")],
    ["workers killed", `${killed}`],
    ["its store stopped and started", `${stopped}`],
    ["lease, and how often lost ones are looked for", `${CLUSTER_LEASE} s, ${CLUSTER_LEASE / 2} s`],
    ["from request to pictures, median", `${median(drawn).toFixed(1)} s`],
    ["from request to pictures, longest", `${Math.max(...drawn).toFixed(1)} s`],
    ["all of it", `${seconds.toFixed(0)} s`],
    ["lost, doubled, of other bits, out of order", `${wrong.length}`],
  ] as const;
  return { rows, outcomes, wrong };
}

async function pause(milliseconds: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, milliseconds));
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      queue: { type: "string", default: "redis" },
      jobs: { type: "string", default: "300" },
      kills: { type: "string", default: "10" },
      runtimes: { type: "string", default: "deno,bun,node" },
    },
  });
  const { rows, wrong } = await proveCluster({
    kind: values.queue === "postgres" ? POSTGRES : REDIS,
    jobs: Number(values.jobs),
    kills: Number(values.kills),
    runtimes: values.runtimes.split(","),
  });
  console.log("| what | |\n| --- | --- |");
  for (const [what, value] of rows) console.log(`| ${what} | ${value} |`);
  for (const sentence of wrong) console.error(sentence);
  if (wrong.length > 0) Deno.exitCode = 1;
}
