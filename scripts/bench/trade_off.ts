/**
 * What a picture costs and how near it comes to the truth: our plans, earlier ones, uniform reuse, and every solver at
 * its best spacing, as a table and a figure:
 *
 *     deno task trade-off --out plans/trade-off.svg                  fashion-dit, 64 fresh pictures
 *     deno task trade-off --model DIR --prompts FILE.json --out …    a model of prompts: [{"prompt": …}, …]
 *
 * PSNR is to the converged solution of the same noise. Of the solvers every spacing is tried on the first ten pictures;
 * for each number of calls the best is then held against the plans on all of them. Speed-ups are measured: conditioning
 * and loop of ten pictures with sessions open, the full run ÷ each, medians of rounds in which all take turns.
 */
import { parseArgs } from "../parse_args.ts";
import { openPlatformStore } from "../../src/assets/hub/hub_settings.ts";
import type { BackendName } from "../../src/backend/backend.ts";
import { mean, median } from "../../src/calibrate/median.ts";
import { picturesOf } from "../../src/calibrate/pictures.ts";
import { promptedConditions } from "../../src/calibrate/prompted_conditions.ts";
import { type RunConditions, seededConditions, sliceConditions } from "../../src/calibrate/task.ts";
import { convergedSolution, nearnessTo } from "../../src/calibrate/truth.ts";
import { MAX_BATCH } from "../../src/engine/batches.ts";
import { type Engine, openEngine } from "../../src/engine/engine.ts";
import { sceneOf } from "../../src/engine/request.ts";
import { joinRows } from "../../src/tensor/rows.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { FASHION_DIT } from "../fashion_dit.ts";
import {
  bundledVariants,
  callsOf,
  earlierVariants,
  modelFull,
  rivalsOf,
  uniformVariants,
  type Variant,
} from "./rivals.ts";
import { type Found, tradeOffFigure, tradeOffTable } from "./trade_off_report.ts";

/** The best of each number of calls; Heun's method, which takes an odd number, may take one less. */
export function bestOfEach(found: readonly Found[], counts: readonly number[]): Variant[] {
  return counts.flatMap((count) => {
    const able = found.filter(({ variant: { steps, sampler } }) =>
      steps === callsOf(sampler, count)
    );
    const [first] = able.toSorted((a, b) => b.truthDb - a.truthDb);
    return first === undefined ? [] : [first.variant];
  });
}

async function sample(
  pipeline: Engine,
  { steps, sampler, plan }: Variant,
  { labels, noise, given }: RunConditions,
): Promise<{ readonly latents: Tensor; readonly seconds: number }> {
  const { latents, loopSeconds, conditioningSeconds } = await pipeline.generate({
    ...{ ...given, labels, noise, steps, sampler, plan: plan ?? "none", output: "latents" },
  });
  return { latents, seconds: loopSeconds + conditioningSeconds };
}

/** How near variants come to the truth. */
async function measure(
  pipeline: Engine,
  variants: readonly Variant[],
  conditions: RunConditions,
): Promise<Found[]> {
  const { guidance } = pipeline.model.sampler;
  const store = await openPlatformStore(() => {});
  const onStage = (what: string): void => console.error(what);
  const truth = await convergedSolution({ pipeline, conditions, guidance, store, onStage });
  const scene = sceneOf(pipeline.model, conditions.given ?? {});
  const found: Found[] = [];
  for (const variant of variants) {
    const batches: Tensor[] = [];
    for (let first = 0; first < conditions.labels.length; first += MAX_BATCH) {
      const batch = sliceConditions(conditions, first, MAX_BATCH);
      batches.push((await sample(pipeline, variant, batch)).latents);
    }
    const latents = joinRows(batches);
    const pictures = await picturesOf(latents, { pipeline, scene });
    const { psnrDb } = nearnessTo(truth, { pipeline, latents, pictures });
    found.push({ variant, truthDb: mean(psnrDb), speedups: {} });
    console.error(`${variant.series}, ${variant.name}: ${mean(psnrDb).toFixed(1)} dB`);
  }
  return found;
}

/** Measured speed-ups over the first variant, all taking turns. */
async function speedupsOn(
  pipeline: Engine,
  variants: readonly Variant[],
  { conditions, rounds }: { readonly conditions: RunConditions; readonly rounds: number },
): Promise<number[]> {
  const batch = sliceConditions(conditions, 0, MAX_BATCH);
  const ratios: number[][] = variants.map(() => []);
  for (const variant of variants) await sample(pipeline, variant, sliceConditions(batch, 0, 1)); // opens sessions
  for (let round = 0; round < rounds; round++) {
    const seconds: number[] = [];
    for (const variant of variants) seconds.push((await sample(pipeline, variant, batch)).seconds);
    seconds.forEach((each, i) => ratios[i]!.push(seconds[0]! / each)); // one list a variant
  }
  return ratios.map(median);
}

async function conditionsOf(
  pipeline: Engine,
  { count, seed, prompts: file }: {
    readonly count: number;
    readonly seed: number;
    readonly prompts: string | undefined;
  },
): Promise<RunConditions> {
  if (file === undefined) return seededConditions(pipeline, { runs: count, seed });
  const rows: readonly { readonly prompt: string }[] = JSON.parse(await Deno.readTextFile(file));
  const prompts = rows.slice(0, count).map(({ prompt }) => prompt);
  return await promptedConditions(pipeline, { prompts, runs: prompts.length, seed });
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      model: { type: "string" },
      prompts: { type: "string" },
      count: { type: "string", default: "64" },
      seed: { type: "string", default: "100000" },
      calls: { type: "string" },
      backends: { type: "string", default: "native,wasm" },
      rounds: { type: "string", default: "3" },
      out: { type: "string" },
    },
  });
  const source = values.model ?? FASHION_DIT;
  const backends = values.backends.split(",") as BackendName[]; // openEngine() refuses others
  const pipeline = await openEngine({ model: source, backend: backends[0] });
  const { model } = pipeline;
  const plans = await bundledVariants(model);
  const counts = values.calls?.split(",").map(Number) ?? plans.map(({ steps }) => steps);
  const conditions = await conditionsOf(pipeline, {
    ...{ count: Number(values.count), seed: Number(values.seed), prompts: values.prompts },
  });
  const tried = await measure(
    pipeline,
    rivalsOf(model, counts),
    sliceConditions(conditions, 0, MAX_BATCH),
  );
  const earlier = await earlierVariants(model);
  const variants = [
    modelFull(model),
    ...plans,
    ...bestOfEach(tried, counts),
    ...earlier,
    ...earlier.length > 0 ? await uniformVariants(model, [2, 3, 4], "features") : [],
  ];
  const found = await measure(pipeline, variants, conditions);
  const speedups = new Map<BackendName, readonly number[]>();
  for (const backend of values.rounds === "0" ? [] : backends) {
    const timed = backend === pipeline.backend.name
      ? pipeline
      : await openEngine({ model: source, backend });
    const about = { conditions, rounds: Number(values.rounds) };
    speedups.set(backend, await speedupsOn(timed, variants, about));
    if (timed !== pipeline) await timed.close();
  }
  const rows = found.map((each, i) => ({
    ...each,
    speedups: Object.fromEntries([...speedups].map(([backend, all]) => [backend, all[i]!])), // one each
  }));
  console.log(
    `${model.id}, ${conditions.labels.length} pictures, ${pipeline.backend.description}\n`,
  );
  console.log(tradeOffTable(rows));
  if (values.out !== undefined) {
    await Deno.writeTextFile(values.out, tradeOffFigure(rows, model.id));
  }
  await pipeline.close();
}

if (import.meta.main) await main();
