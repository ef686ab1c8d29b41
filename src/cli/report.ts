/**
 * What a finished `generate` tells.
 */

import process from "node:process";
import type { Generated } from "../engine/generated.ts";
import type { Engine } from "../engine/engine.ts";
import type { PreparedRun } from "../engine/prepare.ts";
import { modelCost } from "../engine/plan_facts.ts";
import type { PrecisionReport } from "../engine/precision/choose.ts";
import { rowsPerPicture, type Scene } from "../model/scene.ts";
import { quoted } from "../engine/prompt_texts.ts";
import { compilePlan } from "../plan/compile.ts";
import { predictSpeedup, stepMacs } from "../plan/cost.ts";
import { planDigest } from "../plan/digest.ts";
import { countKinds, countWords, type StepCounts } from "../plan/step_counts.ts";
import { counted } from "./output.ts";
import { precisionText } from "./precision_text.ts";

/** The plan that a run followed. */
export interface PlanReport {
  /** Name of a bundled plan, or where its file lies. */
  readonly name: string;
  /** Equal for plans that make equal pictures. */
  readonly digest: string;
  readonly steps: StepCounts;
  /** How many times less arithmetic than full steps. */
  readonly predictedSpeedup: number;
  /** The most bytes of features and states kept at any moment. */
  readonly peakFeatureBytes: number;
}

type Told = Omit<
  Generated,
  "pictures" | "latents" | "kinds" | "plan" | "peakFeatureBytes" | "loopSeconds"
>;

/** Facts of a run, as `--json` prints them; its seconds are those of the sampling loops. */
export interface Report extends Told {
  readonly model: string;
  /** Identity of the model. */
  readonly fingerprint: string;
  /** Provider, device and threads. */
  readonly backend: string;
  readonly reason: string;
  /** Precision of the weights, and what rounding did to each layer. */
  readonly precision: PrecisionReport;
  /** Seed of the first picture; absent when noise was given. */
  readonly seed: number | undefined;
  /** Graphs run in a full step. */
  readonly runsPerStep: number;
  /** The plan; absent when everything ran. */
  readonly plan: PlanReport | undefined;
  /** Median-free mean: milliseconds of one step of one batch. */
  readonly msPerStep: number;
  /** Arithmetic of the loops: 2 × multiply-accumulates ÷ seconds ÷ 10⁹. */
  readonly gflopPerSecond: number;
  /** Largest resident memory of the process so far. */
  readonly peakMemoryMiB: number;
}

export async function reportOf(
  engine: Engine,
  prepared: PreparedRun,
  generated: Generated,
): Promise<Report> {
  const { model, backend, choice: { reason }, runsPerStep, precision } = engine;
  const { request: { scene } } = prepared;
  const { pictures: _pictures, latents: _latents, kinds: _kinds, ...facts } = generated;
  const { peakFeatureBytes: _bytes, loopSeconds: seconds, ...told } = facts;
  const plan = reportPlan(scene, generated);
  const macs = rowsPerPicture(scene, told.guidance) * pictureMacs(prepared, told);
  const calls = told.parallel && sum(told.parallel.pictures, ({ calls }) => calls);
  return {
    model: model.id,
    fingerprint: await model.fingerprint(),
    backend: backend.description,
    reason,
    precision,
    seed: told.seeds[0],
    ...told,
    plan,
    runsPerStep,
    seconds,
    msPerStep: seconds * 1000 / (calls ?? engine.stepsOf(prepared)),
    gflopPerSecond: 2 * macs / seconds / 1e9,
    peakMemoryMiB: process.resourceUsage().maxRSS / 1024,
  };
}

/** Multiply-accumulates of all pictures, of one half of a guided batch. */
function pictureMacs(
  { request: { scene }, steps }: PreparedRun,
  { labels, parallel }: Told,
): number {
  const each = steps.map((step) => stepMacs(step, modelCost(scene.transformer)));
  if (parallel === undefined) return labels.length * sum(each, (macs) => macs);
  return sum(parallel.pictures, ({ evaluations }) => evaluations) * each[0]!; // all run in full
}

function reportPlan(
  { transformer }: Scene,
  { plan, kinds, peakFeatureBytes }: Generated,
): PlanReport | undefined {
  if (plan === undefined) return undefined;
  return {
    name: plan.name,
    digest: planDigest(plan.plan),
    steps: countKinds(kinds),
    predictedSpeedup: predictSpeedup(compilePlan(plan.plan), modelCost(transformer)),
    peakFeatureBytes,
  };
}

/** The report in words, ending with a newline. */
export function describeReport(report: Report): string {
  return [
    `${
      counted(report.labels.length, "picture")
    } of ${report.model}, ${report.steps} steps, guidance ${report.guidance}` +
    (report.trueGuidance === undefined ? "" : `, true guidance ${report.trueGuidance}`) +
    (report.seed === undefined ? "" : `, seed ${report.seed}`),
    ...promptLines(report),
    `backend      ${report.backend} (${report.reason})`,
    `weights      ${precisionText(report.precision)}`,
    `plan         ${describePlan(report)}`,
    `loop         ${report.seconds.toFixed(2)} s, ${report.msPerStep.toFixed(1)} ms per step, ` +
    `${report.gflopPerSecond.toFixed(1)} GFLOP/s, ${report.runsPerStep} runs per step`,
    `conditioning ${report.conditioningSeconds.toFixed(2)} s, ahead of the loop`,
    `peak memory  ${report.peakMemoryMiB.toFixed(0)} MiB`,
    "",
  ].join("\n");
}

/** Which pictures show what, counted row by row. */
function promptLines({ labels, prompts }: Report): readonly string[] {
  return prompts.map(({ prompt, prompt2, negativePrompt }, row) => {
    const places = labels.flatMap((label, i) => (label === row ? [i + 1] : []));
    const more = places.length > SHOWN_PLACES ? ", …" : "";
    const second = prompt2 === undefined
      ? ""
      : `; second encoder: ${quoted(prompt2, SHOWN_LETTERS)}`;
    const not = negativePrompt === undefined
      ? ""
      : `; not: ${quoted(negativePrompt, SHOWN_LETTERS)}`;
    const numbers = places.slice(0, SHOWN_PLACES).join(", ") + more;
    return `${`picture ${numbers} `.padEnd(13)}${quoted(prompt, SHOWN_LETTERS)}${second}${not}`;
  });
}

/** Pictures of one prompt that are counted singly. */
const SHOWN_PLACES = 8;
/** Letters of a prompt that a line shows. */
const SHOWN_LETTERS = 200;

function describePlan({ plan, planReason, policy, parallel, ...run }: Report): string {
  if (parallel !== undefined) {
    const rounds = rangeText(parallel.pictures.map(({ rounds }) => rounds));
    const calls = rangeText(parallel.pictures.map(({ calls }) => calls));
    return `none (${planReason}): ${rounds} rounds, ${calls} calls for ${run.steps} steps`;
  }
  if (policy !== undefined) {
    return `none (${planReason}): ${rangeText(policy.reused)} of ${run.steps} reused`;
  }
  if (plan === undefined) return `none (${planReason})`;
  const { name, predictedSpeedup, steps } = plan;
  return `${name} (${planReason}), ${predictedSpeedup.toFixed(2)} × predicted: ` +
    `${countWords(steps)} steps; ${(plan.peakFeatureBytes / 2 ** 20).toFixed(1)} MiB kept`;
}

/** How many of a picture, from the least to the most. */
function rangeText(counts: readonly number[]): string {
  const [least, most] = [Math.min(...counts), Math.max(...counts)];
  return least === most ? `${least}` : `${least} to ${most}`;
}

function sum<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}
