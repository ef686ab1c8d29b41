/**
 * What steps beside each other take: a call of the model by its rows, then runs of several lengths, one after another
 * and beside each other.
 *
 *     deno run -A scripts/bench/parallel.ts [--model DIR] [--backend native] [--steps 25,50,100] [--threads 2]
 *
 * `moved` is by how much the latent of the last round differs from that of the round before, PSNR is to the same steps
 * one after another. With `--rounds` every round is told instead of times, which are then not measured.
 */
import { parseArgs } from "../parse_args.ts";
import type { BackendName } from "../../src/backend/backend.ts";
import { median } from "../../src/calibrate/median.ts";
import { type Engine, openEngine } from "../../src/engine/engine.ts";
import type { GenerateOptions } from "../../src/engine/request.ts";
import { psnr } from "../../src/image/psnr.ts";
import { table } from "../quality/table.ts";
import { FASHION_DIT } from "../fashion_dit.ts";

/** Rows of a call. */
const ROWS = [1, 2, 5, 10];
/** Where rounds end. */
const THRESHOLDS = [0.01, 0.003, 0.001, 0.0003, 0];

const { values } = parseArgs({
  options: {
    model: { type: "string" },
    backend: { type: "string", default: "native" },
    steps: { type: "string", default: "25,50,100" },
    threads: { type: "string" },
    rounds: { type: "boolean", default: false },
  },
});
const engine = await openEngine({
  model: values.model ?? FASHION_DIT,
  backend: values.backend as BackendName, // openEngine() refuses others
  ...(values.threads !== undefined && { threads: Number(values.threads) }),
});
try {
  console.log(`${engine.model.id} on ${engine.backend.description}\n`);
  if (!values.rounds) console.log(await callTable(engine) + "\n");
  for (const steps of values.steps.split(",").map(Number)) {
    console.log(await runTable(engine, steps, values.rounds ? THRESHOLDS : [0.01]) + "\n");
  }
} finally {
  await engine.close();
}

/** Seconds of a run of few steps with so many pictures, for each step. */
async function callTable(engine: Engine): Promise<string> {
  const seconds = new Map<number, number[]>(ROWS.map((rows) => [rows, []]));
  for (let round = 0; round < 4; round++) {
    for (const [rows, each] of seconds) {
      const request = { ...wanted(engine, rows), steps: 4, plan: "none" as const };
      const { loopSeconds } = await engine.generate(request);
      if (round > 0) each.push(loopSeconds / 4); // the first one opens sessions
    }
  }
  const one = median(seconds.get(1)!);
  const lines = [...seconds].map(([rows, each]) => {
    const call = median(each);
    return [`${rows}`, `${(1000 * call).toFixed(1)} ms`, `${(call / one).toFixed(2)}×`];
  });
  return table(["rows", "a call", "of one row"], lines);
}

/** One picture by so many steps, one after another and beside each other. */
async function runTable(
  engine: Engine,
  steps: number,
  thresholds: readonly number[],
): Promise<string> {
  const request = { ...wanted(engine, 1), steps };
  const full = await engine.generate({ ...request, plan: "none" });
  const lines = [["one after another", "–", `${steps}`, `${steps}`, timeOf(full.loopSeconds), "–"]];
  for (const threshold of thresholds) {
    const parallel = `srds:threshold=${threshold}`;
    const run = await engine.generate({ ...request, parallel });
    const { rounds, calls, evaluations } = run.parallel!.pictures[0]!; // of one picture
    const again = await engine.generate({ ...request, plan: "none" });
    const faster = (full.loopSeconds + again.loopSeconds) / 2 / run.loopSeconds;
    const [db] = psnr(run.latents, full.latents);
    lines.push([
      ...[`\`${parallel}\``, `${rounds}`, `${calls}`, `${evaluations}`],
      `${timeOf(run.loopSeconds)}, ${faster.toFixed(2)}×`,
      db === Infinity ? "equal bits" : `${db!.toFixed(1)} dB`,
    ]);
  }
  return table([`${steps} steps`, "rounds", "calls", "latents", "loop", "to the steps"], lines);
}

function timeOf(seconds: number): string {
  return `${seconds.toFixed(2)} s`;
}

function wanted({ model }: Engine, count: number): GenerateOptions {
  return { seed: 100_000, output: "latents", ...(model.classes > 0 ? { label: 3 } : {}), count };
}
