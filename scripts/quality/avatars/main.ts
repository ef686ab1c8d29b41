/**
 * Whether avatars of peeps-flux still show what their prompts say: what a judge finds in the pictures of plans, of
 * fewer steps of the same sampler, and of the weights before they were packed, beside the seconds that they take.
 *
 *     deno task quality:avatars --judge DIR [--plans NAME,…] [--euler 14,9] [--float DIR] [--count 500]
 *
 * `--judge` is the folder of `judge.onnx` and `judge.json`, which are not in the repository. Prompts are composed
 * from `scripts/train/avatars.json`, or read from `--prompts FILE`. The first row is the full run, with which all
 * others are compared, prompt for prompt, from the same noise. In brackets are 95 % bootstrap intervals. Batches are
 * made in turn and kept in `--cache`: a run that was stopped goes on. PSNR is of pictures, after the autoencoder.
 */
import { parseArgs } from "../../parse_args.ts";
import { median } from "../../../src/calibrate/median.ts";
import type { BackendName } from "../../../src/backend/backend.ts";
import { bundledPlans, loadPlan } from "../../../src/engine/bundled_plans.ts";
import { type Engine, openEngine } from "../../../src/engine/engine.ts";
import { psnr } from "../../../src/image/psnr.ts";
import { parsePlan } from "../../../src/plan/parse.ts";
import { joinRows, sliceRows } from "../../../src/tensor/rows.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import { modelFull, planned, type Variant } from "../../bench/rivals.ts";
import { differenceOf, drawsOf, type Estimate, meanOf } from "../report.ts";
import { type Samples, type SampleTask, sampleVariants, showBatch } from "../samples.ts";
import { percent, scaled, signed, table, withInterval } from "../table.ts";
import { type AvatarJudge, openAvatarJudge, shareFound } from "./judge.ts";
import { ATTRIBUTES, type AvatarPrompt, avatarPrompts, COLOURS, FORMS } from "./prompts.ts";

const PEEPS_FLUX = new URL("../../../models/peeps-flux/", import.meta.url);
const DECODED_AT_ONCE = 10;

/** What is known of a variant's pictures, a number for each. */
interface Judged {
  readonly pictures: Tensor;
  /** Shares of the attributes that a prompt names; of prompts that name none, 1. */
  readonly found: Readonly<Record<"all" | "forms" | "colours", readonly number[]>>;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      judge: { type: "string" },
      model: { type: "string", default: PEEPS_FLUX.pathname },
      float: { type: "string" },
      prompts: { type: "string" },
      plans: { type: "string", default: "" },
      euler: { type: "string", default: "" },
      count: { type: "string", default: "500" },
      seed: { type: "string", default: "500000" },
      batch: { type: "string", default: "10" },
      resamples: { type: "string", default: "1000" },
      backend: { type: "string", default: "native" },
      cache: { type: "string", default: ".cache/avatars" },
    },
  });
  const [count, seed, batch] = [values.count, values.seed, values.batch].map(Number);
  const prompts = await promptsOf(values.prompts, { count: count!, seed: seed! });
  const engine = await openEngine({ model: values.model, backend: values.backend as BackendName });
  const judge = values.judge === undefined
    ? undefined
    : await openAvatarJudge(engine.backend, values.judge);
  const task: Omit<SampleTask, "pipeline" | "variants"> = {
    ...{ count: prompts.length, seed: seed!, batch: batch! },
    folder: values.cache,
    request: (first, size) => {
      const { guidance } = engine.model.sampler; // of the float weights too, whose directory has another default
      return { prompts: prompts.slice(first, first + size).map(({ prompt }) => prompt), guidance };
    },
    onBatch: showBatch,
  };
  const samples = new Map(
    await sampleVariants({ ...task, pipeline: engine, variants: await variantsOf(engine, values) }),
  );
  if (values.float !== undefined) {
    const whole = await openEngine({ model: values.float, backend: values.backend as BackendName });
    const folder = `${values.cache}/float`;
    const variants = [{ ...modelFull(engine.model), series: "weights before they were packed" }];
    for (
      const [variant, of] of await sampleVariants({ ...task, folder, pipeline: whole, variants })
    ) {
      samples.set(variant, of);
    }
    await whole.close();
  }
  console.log(
    `${prompts.length} prompts, seeds from ${seed} on, ${engine.backend.description}\n`,
  );
  console.log(
    await report(samples, { engine, judge, prompts, resamples: Number(values.resamples) }),
  );
  await judge?.dispose();
  await engine.close();
}

async function promptsOf(
  file: string | undefined,
  { count, seed }: { readonly count: number; readonly seed: number },
): Promise<readonly AvatarPrompt[]> {
  if (file === undefined) return avatarPrompts(count, seed);
  const listed: readonly AvatarPrompt[] = JSON.parse(await Deno.readTextFile(file)); // ours
  return listed.slice(0, count);
}

async function variantsOf(
  { model }: Engine,
  { plans, euler }: { readonly plans: string; readonly euler: string },
): Promise<readonly Variant[]> {
  const full = modelFull(model);
  const names = plans.split(",").filter((name) => name !== "");
  const counts = euler.split(",").filter((count) => count !== "").map(Number);
  const following = names.map(async (name): Promise<Variant> => {
    const plan = bundledPlans.includes(name)
      ? loadPlan(name)
      : parsePlan(await Deno.readTextFile(name));
    return planned(model, { series: "plan", name: name.replace(/^.*\/|\.json$/g, ""), plan });
  });
  return [
    full,
    ...await Promise.all(following),
    ...counts.map((steps) => ({
      ...{ series: "fewer steps, each in full", name: `${steps} steps` },
      ...{ speedup: full.steps / steps, steps },
    })),
  ];
}

interface ReportTask {
  readonly engine: Engine;
  readonly judge: AvatarJudge | undefined;
  readonly prompts: readonly AvatarPrompt[];
  readonly resamples: number;
}

/** A row for each variant. */
async function report(
  samples: ReadonlyMap<Variant, Samples>,
  task: ReportTask,
): Promise<string> {
  const draws = drawsOf(task.prompts.length, task.resamples);
  const rows: string[][] = [];
  let full: { readonly judged: Judged; readonly seconds: readonly number[] } | undefined;
  for (const [variant, { latents, seconds }] of samples) {
    const judged = await judgedOf(latents, task);
    full ??= { judged, seconds };
    const { judged: reference } = full;
    const found = (of: Judged): Estimate => meanOf(of.found.all, draws);
    const faster = median(seconds.map((each, i) => full!.seconds[i]! / each)); // as many batches
    const isFull = judged === reference;
    rows.push([
      `${variant.series}, ${variant.name}`,
      `${variant.speedup.toFixed(2)}×`,
      `${faster.toFixed(2)}×`,
      isFull
        ? "–"
        : `${withInterval(meanOf(psnr(judged.pictures, reference.pictures), draws), 1)} dB`,
      ...(task.judge === undefined ? [] : [
        percent(meanOf(judged.found.all, draws)),
        isFull ? "–" : signed(scaled(differenceOf(found(judged), found(reference)), 100), 1),
        percent(meanOf(judged.found.forms, draws)),
        percent(meanOf(judged.found.colours, draws)),
      ]),
    ]);
  }
  const found = ["attributes found", "less the full run, points", "forms", "colours"];
  const head = ["", "predicted", "measured", "PSNR", ...(task.judge === undefined ? [] : found)];
  return table(head, rows);
}

async function judgedOf(latents: Tensor, { engine, judge, prompts }: ReportTask): Promise<Judged> {
  const parts: Tensor[] = [];
  for (let first = 0; first < prompts.length; first += DECODED_AT_ONCE) {
    const size = Math.min(DECODED_AT_ONCE, prompts.length - first);
    parts.push(
      await engine.decode(sliceRows(latents, first, size), { grid: engine.model.tokenGrid }),
    );
  }
  const pictures = joinRows(parts);
  const shown = await judge?.look(pictures) ?? prompts.map(() => ({}));
  const of = (kinds: readonly string[]): readonly number[] =>
    prompts.map((prompt, i) => shareFound(prompt, shown[i]!, kinds) ?? 1); // as many
  return { pictures, found: { all: of(ATTRIBUTES), forms: of(FORMS), colours: of(COLOURS) } };
}

if (import.meta.main) await main();
