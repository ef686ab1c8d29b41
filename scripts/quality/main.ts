/**
 * Whether pictures are still right: what a classifier says of the pictures of every plan and its rivals,
 * and how far their features are from those of real pictures, beside the seconds that they take.
 *
 *     deno task quality              2,000 pictures of each; an hour or two, and it goes on where it was stopped
 *     deno task quality --weights int8       weights in another precision, in full and with a plan, instead
 *
 * Accuracy: share of pictures that the judge of `quality/` takes for the class that was asked for. Fréchet:
 * distance between Gaussians fitted to the judge's features of the pictures and of the 10,000 real test
 * pictures, which is what FID is with another network. PSNR is to the pictures of the full run, and for the first 64
 * to the converged solution of the same noise. In brackets 95 % bootstrap intervals. The row of real
 * pictures is made of test pictures too (Debian's `dataset-fashion-mnist`): as many, equally many of each
 * class, against all the others, so that no picture is on both sides.
 *
 * Seconds are medians over batches, which are made in turn; on a machine that does other work only the ratio
 * in brackets counts.
 */
import { parseArgs } from "../parse_args.ts";
import type { BackendName } from "../../src/backend/backend.ts";
import { openPlatformStore } from "../../src/assets/hub/hub_settings.ts";
import { seededConditions } from "../../src/calibrate/task.ts";
import { convergedSolution, type Truth } from "../../src/calibrate/truth.ts";
import { type Engine, openEngine } from "../../src/engine/engine.ts";
import type { WeightPrecision } from "../../src/engine/precision/rounded_layers.ts";
import type { Model } from "../../src/model/model.ts";
import { openJudge } from "./judge.ts";
import { readRealPictures, REAL_FOLDER, type RealPictures } from "./real_pictures.ts";
import {
  differenceOf,
  type Estimate,
  judgeReal,
  judgeVariants,
  type Quality,
  type VariantQuality,
} from "./report.ts";
import { type SampleTask, sampleVariants, showBatch } from "./samples.ts";
import { qualityTable, rivalTable } from "./table.ts";
import {
  bundledVariants,
  ddimVariants,
  earlierVariants,
  FULL_STEPS,
  fullVariant,
  publishedVariants,
  solverVariants,
  uniformVariants,
  type Variant,
  withWeights,
} from "../bench/rivals.ts";
import { FASHION_DIT } from "../fashion_dit.ts";

/** The solvers that `deno task trade-off` found best for as many calls as the bundled plans have. */
const BEST_SOLVERS: readonly (readonly [sampler: string, calls: number])[] = [
  ["unipc:log-snr", 25],
  ["unipc:log-snr", 16],
  ["unipc:log-snr", 10],
  ["unipc:linspace", 6],
];

/** What a report is made of. */
export interface QualityTask extends SampleTask {
  /** How many resamples an interval is made of. */
  readonly resamples: number;
  /** The converged solution of the first pictures. */
  readonly truth?: Pick<Truth, "latents"> | undefined;
  /** Real pictures to judge beside them, if there are any on this machine. */
  readonly real?: RealPictures | undefined;
}

/** What a report says. */
export interface QualityReport {
  /** One row for each variant, in order. */
  readonly rows: readonly VariantQuality[];
  /** Real pictures; absent where there are none on this machine. */
  readonly real?: Quality;
}

/** Makes and judges the pictures. */
export async function reportQuality(task: QualityTask): Promise<QualityReport> {
  const { pipeline, count, resamples, real, truth } = task;
  const samples = await sampleVariants(task);
  const labels = Array.from({ length: count }, (_, i) => i % pipeline.model.classes);
  const judge = await openJudge(pipeline.backend);
  try {
    const rows = await judgeVariants(samples, labels, { judge, resamples, truth });
    if (real === undefined) return { rows };
    return { rows, real: await judgeReal(real, count, { judge, resamples }) };
  } finally {
    await judge.dispose();
  }
}

/** Full computation first, then everything that is held against it. */
async function allVariants(model: Model): Promise<readonly Variant[]> {
  return [
    fullVariant(),
    ...await bundledVariants(model),
    ...await earlierVariants(model),
    ...BEST_SOLVERS.flatMap(([sampler, steps]) =>
      solverVariants([sampler], { counts: [steps], fullSteps: FULL_STEPS })
    ),
    ...ddimVariants([24, 17, 12, 9]),
    ...await uniformVariants(model, [2, 3, 4], "features"),
    ...await uniformVariants(model, [2, 3, 4], "the hidden state"),
    ...await publishedVariants(model),
  ];
}

/** Full computation, and what another precision makes of it and of a plan. */
async function roundedVariants(
  model: Model,
  weights: WeightPrecision,
): Promise<readonly Variant[]> {
  const fast = (await bundledVariants(model)).filter(({ name }) => /\.(3x|fast)$/.test(name));
  return [fullVariant(), ...[fullVariant(), ...fast].map((each) => withWeights(each, weights))];
}

/** The report without resamples, as JSON. */
function asJson({ rows, real }: QualityReport): string {
  const short = ({ value, low, high }: Estimate): unknown => ({ value, low, high });
  const judged = ({ accuracy, frechet }: Quality): Record<string, unknown> => ({
    accuracy: short(accuracy),
    frechet: short(frechet),
  });
  const [full] = rows;
  const listed = rows.map((row) => ({
    series: row.variant.series,
    name: row.variant.name,
    predictedSpeedup: row.variant.speedup,
    ...judged(row),
    lessFull: judged({
      accuracy: differenceOf(row.accuracy, full!.accuracy), // there is a row
      frechet: differenceOf(row.frechet, full!.frechet),
    }),
    ...(row.psnr !== undefined && { psnrDb: short(row.psnr) }),
    ...(row.truth !== undefined && { truthPsnrDb: short(row.truth) }),
    secondsPerPicture: row.secondsPerPicture,
    timesFaster: row.timesFaster,
  }));
  return JSON.stringify({ rows: listed, ...(real && { real: judged(real) }) }, null, 2) + "\n";
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      count: { type: "string", default: "2000" },
      seed: { type: "string", default: "100000" },
      batch: { type: "string", default: "20" },
      resamples: { type: "string", default: "500" },
      backend: { type: "string", default: "auto" },
      cache: { type: "string", default: ".cache/quality" },
      truth: { type: "string", default: "64" },
      weights: { type: "string" },
      json: { type: "string" },
    },
  });
  const backend = values.backend as BackendName; // which refuses others
  const weights = values.weights as WeightPrecision | undefined; // so does this
  const pipeline = await openEngine({ model: FASHION_DIT, backend });
  const rounded = weights && await openEngine({ model: FASHION_DIT, backend, weights });
  try {
    const report = await reportQuality({
      pipeline,
      truth: await truthOf(pipeline, { count: Number(values.truth), seed: Number(values.seed) }),
      rounded,
      variants: weights === undefined
        ? await allVariants(pipeline.model)
        : await roundedVariants(pipeline.model, weights),
      count: Number(values.count),
      seed: Number(values.seed),
      batch: Number(values.batch),
      resamples: Number(values.resamples),
      folder: values.cache,
      real: await readRealPictures(),
      onBatch: showBatch,
    });
    console.log(
      `${values.count} pictures of each, seeds from ${values.seed} on, ${pipeline.backend.description}`,
    );
    console.log(`\n${qualityTable(report.rows, report.real)}\n\n${rivalTable(report.rows)}`);
    if (report.real === undefined) {
      console.log(
        `\nno row of real pictures: ${REAL_FOLDER} is not there; ` +
          "enable with: apt-get install dataset-fashion-mnist",
      );
    }
    if (values.json !== undefined) await Deno.writeTextFile(values.json, asJson(report));
  } finally {
    await rounded?.close();
    await pipeline.close();
  }
}

/** The converged solution of the first pictures of a report. */
async function truthOf(
  pipeline: Engine,
  { count: runs, seed }: { readonly count: number; readonly seed: number },
): Promise<Truth> {
  const { guidance } = pipeline.model.sampler;
  const conditions = seededConditions(pipeline, { runs, seed });
  const store = await openPlatformStore(() => {});
  return await convergedSolution({ pipeline, conditions, guidance, store });
}

if (import.meta.main) await main();
