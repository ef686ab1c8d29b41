/**
 * What a picture costs and how near it comes to the truth: our plans, earlier ones, uniform reuse, and every solver at
 * its best spacing, as tables and a figure in `plans`:
 *
 *     deno task trade-off                                       fashion-dit
 *     deno task trade-off --model models/peeps-flux             prompts that name every attribute; not judged
 *     deno task trade-off --time native --rounds 4              measures speed-ups, which later runs then tell
 *     deno task trade-off --write && deno fmt README.md         puts tables and figure into plans, and README's
 *
 * PSNR is to the converged solution of the same noise, on 64 pictures that no plan has seen; accuracy and Fréchet
 * distance are those of `deno task quality`, on 2,000. Of the solvers every spacing is tried on the first ten pictures;
 * for each number of calls the best is held against the plans. All that is independent of time is kept in `--cache`,
 * batch by batch, and goes on where it was stopped; with `--threads 1` it gets on beside other work.
 *
 * Speed-ups are measured apart, on a machine that does nothing else: conditioning and loop of ten pictures with sessions
 * open, the full runs before and after ÷ each, medians of rounds; earlier plans and uniform reuse in the first round
 * only.
 */
import { parseArgs } from "../parse_args.ts";
import type { BackendName } from "../../src/backend/backend.ts";
import { mean } from "../../src/calibrate/median.ts";
import { openEngine } from "../../src/engine/engine.ts";
import type { GenerateOptions } from "../../src/engine/request.ts";
import type { Model } from "../../src/model/model.ts";
import { parsePlan } from "../../src/plan/parse.ts";
import { hasFixedTimes } from "../../src/sampler/solvers.ts";
import { FASHION_DIT } from "../fashion_dit.ts";
import { avatarPrompts } from "../quality/avatars/prompts.ts";
import { openJudge } from "../quality/judge.ts";
import { judgeVariants, type Quality } from "../quality/report.ts";
import {
  bundledVariants,
  callsOf as solverCalls,
  earlierVariants,
  modelFull,
  planned,
  uniformVariants,
  type Variant,
  variantKey,
} from "./rivals.ts";
import { type Found, tradeOffFigure } from "./trade_off_figure.ts";
import {
  gainRows,
  gainsTable,
  replaceSection,
  type ReportFacts,
  tradeOffSection,
} from "./trade_off_report.ts";
import { type Speeds, timeVariants } from "./trade_off_speeds.ts";
import {
  bestRivals,
  conditionsOf,
  convergence,
  knownRivals,
  latentsOf,
  measure,
  readJson,
  type Study,
  truthOf,
} from "./trade_off_study.ts";

const PLANS = new URL("../../plans/", import.meta.url);
/** Pictures that show, in 1,000 steps of the model's own sampler, that the truth is one; a flow's take long. */
const CONVERGED = { noise: 2, flow: 1 };
/** Resamples of an interval of what the judge says. */
const RESAMPLES = 300;
/** Pictures that are made to measure seconds. */
const TIMED = 10;

/** All ways of a study. */
interface Ways {
  /** Timed in every round: the full run first. */
  readonly main: readonly Variant[];
  /** Those of them that are judged: solvers of as many calls as plans, no others. */
  readonly judged: readonly Variant[];
  readonly others: readonly Variant[];
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      model: { type: "string" },
      plans: { type: "string", default: "" },
      calls: { type: "string" },
      count: { type: "string", default: "64" },
      judged: { type: "string" },
      seed: { type: "string" },
      time: { type: "string" },
      rounds: { type: "string", default: "3" },
      threads: { type: "string" },
      cache: { type: "string", default: ".cache/quality" },
      write: { type: "boolean", default: false },
    },
  });
  const source = values.model ?? FASHION_DIT;
  const backend = (values.time ?? "native") as BackendName; // openEngine() refuses others
  const threads = values.threads === undefined ? undefined : Number(values.threads);
  const pipeline = await openEngine({ model: source, backend, threads });
  const { model } = pipeline;
  const isJudged = model.id === "fashion-dit";
  const [count, judged, seed] = [
    Number(values.count),
    isJudged ? Number(values.judged ?? "2000") : 0,
    Number(values.seed ?? (model.classes > 0 ? "100000" : "500000")),
  ];
  const prompts = model.classes > 0
    ? undefined
    : avatarPrompts(count + TIMED, seed).map(({ prompt }) => prompt);
  const study = { pipeline, seed, prompts, folder: values.cache };
  const speeds = `${values.cache}/speeds-${model.id}.json`;
  try {
    const ways = await waysOf(study, values);
    if (values.time !== undefined) {
      await keepSpeeds(speeds, await timed(study, ways, Number(values.rounds)));
      return;
    }
    const asked = { count, judged, speeds: await readSpeeds(speeds) };
    const found = await foundOf(study, ways, asked);
    const facts = await factsOf(study, asked);
    const section = tradeOffSection(found, facts);
    console.log(section);
    if (values.write) {
      await write(model.id, section, tradeOffFigure(found, model.id));
      const gains = `${values.cache}/gains.json`;
      const isTimed = Object.keys(asked.speeds).length > 0;
      if (isTimed) await writeGains(gains, model.id, gainRows(found, model.id));
    }
  } finally {
    await pipeline.close();
  }
}

async function waysOf(
  study: Study,
  { plans, calls, time }: {
    readonly plans: string;
    readonly calls?: string | undefined;
    readonly time?: string | undefined;
  },
): Promise<Ways> {
  const { model } = study.pipeline;
  const files = plans.split(",").filter((path) => path !== "");
  const given = await Promise.all(files.map((path) => readVariant(model, path)));
  const followed = [...await bundledVariants(model), ...given]
    .toSorted((a, b) => a.speedup - b.speedup);
  const own = [...new Set(followed.map(equalCalls))];
  const counts = calls?.split(",").map(Number) ?? own;
  const rivals = await (time === undefined ? bestRivals : knownRivals)(study, counts);
  const earlier = (await earlierVariants(model)).toSorted((a, b) => a.speedup - b.speedup);
  const uniform = earlier.length > 0 ? await uniformVariants(model, [2, 3, 4], "features") : [];
  const main = [modelFull(model), ...rivals, ...followed];
  const judged = main.filter(({ steps, sampler }) =>
    sampler === undefined || own.some((count) => steps === solverCalls(sampler, count))
  );
  return { main, judged, others: [...earlier, ...uniform] };
}

/** A plan that is not bundled. */
async function readVariant(model: Model, path: string): Promise<Variant> {
  const plan = parsePlan(await Deno.readTextFile(path));
  const name = path.replace(/^.*\/|\.json$/g, "");
  return planned(model, { series: "bundled plans", name, plan });
}

/** How often the model would be called for as much arithmetic, rounded up. */
function equalCalls({ plan, speedup, steps }: Variant): number {
  const full = plan?.reference?.steps;
  return full === undefined ? steps : Math.ceil(full / speedup - 0.05); // a hundredth is of rounding
}

async function timed(study: Study, { main, others }: Ways, rounds: number): Promise<Speeds> {
  const { pipeline } = study;
  const request = async (count: number): Promise<GenerateOptions> => {
    const { labels, noise, given } = await conditionsOf(study, count);
    return { ...given, labels, noise };
  };
  const requests = { request: await request(TIMED), first: await request(1) };
  return await timeVariants({ pipeline, main, others, rounds, ...requests });
}

/** What was measured before, by backend. */
async function readSpeeds(path: string): Promise<Readonly<Record<string, Speeds>>> {
  return await readJson<Record<string, Speeds>>(path) ?? {};
}

async function keepSpeeds(path: string, speeds: Speeds): Promise<void> {
  const name = speeds.on.split(",")[0]!; // the provider's
  const all = { ...await readSpeeds(path), [name]: speeds };
  await Deno.writeTextFile(path, JSON.stringify(all, null, 2) + "\n");
}

interface Asked {
  readonly count: number;
  readonly judged: number;
  readonly speeds: Readonly<Record<string, Speeds>>;
}

async function foundOf(
  study: Study,
  { main, judged: looked, others }: Ways,
  { count, judged, speeds }: Asked,
): Promise<readonly Found[]> {
  const near = await measure(study, { count }, [...main, ...others]);
  const quality = judged === 0 ? undefined : await judge(study, looked, judged);
  return near.map(({ variant, psnrDb }) => ({
    ...{ variant, psnrDb },
    quality: quality?.get(variant),
    speedups: Object.fromEntries(
      Object.entries(speeds).flatMap(([name, { speedups: { [variantKey(variant)]: measured } }]) =>
        measured === undefined ? [] : [[name, measured]]
      ),
    ),
  }));
}

/** What the judge says of every way; what it said before is kept. */
async function judge(
  study: Study,
  variants: readonly Variant[],
  count: number,
): Promise<ReadonlyMap<Variant, Quality>> {
  const { pipeline: { model, backend }, folder, seed } = study;
  const pathOf = (variant: Variant): string =>
    `${folder}/judged/${model.id}-seed${seed}-${count}-${variantKey(variant)}.json`;
  const labels = Array.from({ length: count }, (_, i) => i % model.classes);
  const judged = new Map<Variant, Quality>();
  await Deno.mkdir(`${folder}/judged`, { recursive: true });
  const judge = await openJudge(backend);
  try {
    for (const variant of variants) {
      const known = await readJson<Quality>(pathOf(variant));
      if (known !== undefined) judged.set(variant, known);
    }
    const unknown = variants.filter((variant) => !judged.has(variant));
    for (const [variant, latents] of await latentsOf(study, { count }, unknown)) {
      const samples = new Map([[variant, { latents, seconds: [1] }]]);
      const [row] = await judgeVariants(samples, labels, { judge, resamples: RESAMPLES });
      const { accuracy, frechet } = row!; // of one variant
      judged.set(variant, { accuracy, frechet });
      await Deno.writeTextFile(pathOf(variant), JSON.stringify({ accuracy, frechet }));
    }
  } finally {
    await judge.dispose();
  }
  return judged;
}

async function factsOf(
  study: Study,
  { judged, speeds }: Pick<Asked, "judged" | "speeds">,
): Promise<ReportFacts> {
  const { pipeline: { model: { id, sampler } }, seed } = study;
  const converged = CONVERGED[hasFixedTimes(sampler.name) ? "noise" : "flow"];
  const { solver: { calls, agreementDb } } = await truthOf(study, converged);
  const own = mean(await convergence(study, converged));
  const with1000 = `1,000 steps of ${sampler.name} are ${own.toFixed(1)} dB from it`;
  const truth = hasFixedTimes(sampler.name)
    ? `That is of ${calls} calls of third-order DPM-Solver++; ${with1000}.`
    : `That is of ${calls} calls of Adams–Bashforth's method, ${
      agreementDb.toFixed(1)
    } dB from that of fewer; ${with1000}.`;
  const where = Object.values(speeds).map(({ on, rounds }) => `${on}, ${rounds} rounds`);
  const model = id === "fashion-dit" ? "" : ` --model models/${id}`;
  return {
    ...{ id, seed, judged, truth },
    ...(where.length > 0 && {
      timed: `Speed is measured: ten pictures, in turn with the full run (${where.join("; ")}).`,
    }),
    command: ["--time native", "--time wasm", "--write"]
      .map((option) => `deno task trade-off${model} ${option}`).join("\n"),
  };
}

/** Puts the tables into `plans/README.md` and the figure beside it. */
async function write(id: string, section: string, figure: string): Promise<void> {
  const path = new URL("README.md", PLANS);
  await Deno.writeTextFile(path, replaceSection(await Deno.readTextFile(path), id, section));
  await Deno.writeTextFile(new URL(`${id}.svg`, PLANS), figure);
}

/** Puts what all models gain into `README.md`. */
async function writeGains(
  kept: string,
  id: string,
  rows: ReturnType<typeof gainRows>,
): Promise<void> {
  const all = { ...await readJson<Record<string, typeof rows>>(kept), [id]: rows };
  await Deno.writeTextFile(kept, JSON.stringify(all));
  const path = new URL("../README.md", PLANS);
  const sorted = Object.keys(all).toSorted().flatMap((model) => all[model]!);
  const text = replaceSection(await Deno.readTextFile(path), "plans", gainsTable(sorted));
  await Deno.writeTextFile(path, text);
}

if (import.meta.main) await main();
