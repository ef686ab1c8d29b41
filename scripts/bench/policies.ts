/**
 * What policies of the field give on a model: each at several settings, its plan made of runs that are recorded, then
 * measured on others.
 *
 *     deno run -A scripts/bench/policies.ts --cache DIR [--model DIR] [--count 10] [--runs 4] [--only taylorseer]
 *
 * Prints a row for each: predicted speed-up, and mean PSNR in dB to the converged solution of the same noise and to
 * the run in full. Plans are written into `--cache`, where rows are kept too, so that it goes on where it was stopped;
 * `deno task trade-off --plans FILE,…` takes such plans beside ours. Nothing of it depends on time.
 */
import { parseArgs } from "../parse_args.ts";
import { FASHION_DIT } from "../fashion_dit.ts";
import { openPlatformStore } from "../../src/assets/hub/hub_settings.ts";
import { comparePlan } from "../../src/calibrate/compare.ts";
import { mean } from "../../src/calibrate/median.ts";
import { calibrate } from "../../src/calibrate/mod.ts";
import { conditionsOfRuns } from "../../src/calibrate/prompted_conditions.ts";
import { type Engine, openEngine } from "../../src/engine/engine.ts";
import { formatPlan } from "../../src/plan/format.ts";

/** Settings that spread each policy over speed-ups of about 1.5 to 6; after a comma what tells series apart. */
export const WORDS: Readonly<Record<string, readonly string[]>> = {
  fora: each("interval", [2, 3, 4, 6]),
  magcache: each("longest=9,threshold", [0.06, 0.12, 0.24, 0.5, 1]),
  ertacache: each("threshold", [0.02, 0.05, 0.1, 0.2]),
  procache: each("shortest=0,longest=8,full", [0.5, 0.34, 0.25, 0.17]),
  "procache, no tokens": each("shortest=0,longest=8,fresh=0,full", [0.5, 0.34, 0.25, 0.17]),
  sencache: each("longest=9,start=0.05,threshold", [0.05, 0.1, 0.2, 0.4]),
  teacache: each("threshold", [0.1, 0.2, 0.4, 0.8]),
  taylorseer: [1, 2].flatMap((order) => each(`order=${order},interval`, [2, 3, 4, 6])),
  "taylorseer, features": each("of=1,order=1,interval", [2, 3, 4, 6]),
  "adams-bashforth": [2, 3].flatMap((outputs) => each(`outputs=${outputs},interval`, [2, 3, 4, 6])),
  hicache: each("order=2,interval", [2, 3, 4, 6]),
  l2p: each("interval", [5, 8, 16]),
  budcache: each("evaluations", [4, 6, 9, 12]),
  dpcache: each("evaluations", [4, 6, 9, 12]),
};
/** Seed of the pictures that are measured; those that are recorded begin at 42. */
const FRESH = 100_000;

interface Row {
  readonly predicted: number;
  readonly truth: number;
  readonly full: number;
}

function each(setting: string, values: readonly number[]): readonly string[] {
  return values.map((value) => `${setting}=${value}`);
}

/** What `calibrate()` is asked for. */
export function policyWord(series: string, settings: string): string {
  return `${series.split(",")[0]}:${settings}`;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      model: { type: "string" },
      cache: { type: "string" },
      count: { type: "string", default: "10" },
      runs: { type: "string", default: "4" },
      threads: { type: "string", default: "1" },
      only: { type: "string" },
    },
  });
  if (values.cache === undefined) throw new TypeError("Cannot measure: --cache must be given");
  await Deno.mkdir(values.cache, { recursive: true });
  const model = values.model ?? FASHION_DIT;
  const engine = await openEngine({ model, backend: "native", threads: Number(values.threads) });
  try {
    console.log(
      "| policy | settings | predicted | to the converged solution | to the run in full |",
    );
    console.log("| --- | --- | --- | --- | --- |");
    for (const [name, settings] of Object.entries(WORDS)) {
      if (values.only !== undefined && !name.startsWith(values.only)) continue;
      for (const words of settings) {
        const policy = policyWord(name, words);
        const file = `${values.cache}/${engine.model.id}.${policy.replaceAll(/[^\w.-]/g, "_")}`;
        const options = { policy, runs: Number(values.runs), count: Number(values.count), file };
        const { predicted, truth, full } = await measuredRow(engine, options);
        const numbers = [
          `${predicted.toFixed(2)}×`,
          `${truth.toFixed(1)} dB`,
          `${full.toFixed(1)} dB`,
        ];
        console.log(`| ${[name, `\`${words}\``, ...numbers].join(" | ")} |`);
      }
    }
  } finally {
    await engine.close();
  }
}

/** As it was kept, or measured now. */
async function measuredRow(
  pipeline: Engine,
  { policy, runs, count, file }: {
    readonly policy: string;
    readonly runs: number;
    readonly count: number;
    readonly file: string;
  },
): Promise<Row> {
  const kept = await Deno.readTextFile(`${file}.${count}.row`).catch(() => undefined);
  if (kept !== undefined) return JSON.parse(kept);
  const plan = await calibrate(pipeline, { policy, runs });
  await Deno.writeTextFile(`${file}.json`, formatPlan(plan));
  const conditions = await conditionsOfRuns(pipeline, { runs: count, seed: FRESH });
  const truth = { store: await openPlatformStore(() => {}) };
  const found = await comparePlan({ pipeline, plan, conditions, rounds: 1, truth });
  const row: Row = {
    predicted: found.predictedSpeedup,
    truth: mean(found.truth!.planned.psnrDb), // asked for
    full: mean(found.psnrDb),
  };
  await Deno.writeTextFile(`${file}.${count}.row`, JSON.stringify(row));
  return row;
}

if (import.meta.main) await main();
