/**
 * What a finished `compare` tells.
 */

import { cpus } from "node:os";
import process from "node:process";
import { runtimeName } from "../backend/platform.ts";
import type { RunConditions } from "../calibrate/task.ts";
import type { Comparison } from "../calibrate/compare.ts";
import { mean } from "../calibrate/median.ts";
import type { NamedPlan } from "../engine/bundled_plans.ts";
import type { Engine } from "../engine/engine.ts";
import type { ProductPrecision, WeightPrecision } from "../engine/precision/rounded_layers.ts";
import { planDigest } from "../plan/digest.ts";
import type { PlanMeasurement } from "../plan/plan.ts";
import type { CompareCommand } from "./compare_options.ts";
import { formatOptions } from "./options.ts";

/** The numbers of a comparison with what is needed to measure them again, as `--json` writes them. */
export interface ComparisonReport
  extends Omit<Comparison, "pictures">, Pick<RunConditions, "labels" | "seeds"> {
  readonly model: string;
  /** Identity of the model. */
  readonly fingerprint: string;
  /** Provider, device and threads. */
  readonly backend: string;
  /** Precision of the weights, both ways. */
  readonly weights: WeightPrecision;
  /** Precision of products, both ways. */
  readonly products: ProductPrecision;
  /** Processor and runtime. */
  readonly machine: string;
  readonly plan: { readonly name: string; readonly digest: string };
  /** How often every picture was made each way. */
  readonly rounds: number;
  /** Measured ÷ predicted speed-up of the loops. */
  readonly efficiency: number;
  /** How many times faster from request to latents. */
  readonly endToEndSpeedup: number;
  readonly meanPsnrDb: number;
  readonly meanSsim: number;
}

/** Joins the numbers and their circumstances. */
export async function comparisonReport(
  { pictures: _, ...numbers }: Comparison,
  { pipeline: { model, backend, precision }, named, conditions, rounds }: {
    readonly pipeline: Engine;
    readonly named: NamedPlan;
    readonly conditions: RunConditions;
    readonly rounds: number;
  },
): Promise<ComparisonReport> {
  const { full, planned, measuredSpeedup, predictedSpeedup, psnrDb, ssim } = numbers;
  return {
    model: model.id,
    fingerprint: await model.fingerprint(),
    backend: backend.description,
    weights: precision.weights,
    products: precision.products,
    machine: machineText(),
    plan: { name: named.name, digest: planDigest(named.plan) },
    labels: conditions.labels,
    seeds: conditions.seeds,
    rounds,
    ...numbers,
    efficiency: measuredSpeedup / predictedSpeedup,
    endToEndSpeedup: full.endToEndSeconds / planned.endToEndSeconds,
    meanPsnrDb: mean(psnrDb),
    meanSsim: mean(ssim),
  };
}

/** The numbers as a plan keeps them. */
export function measurementOf(
  report: ComparisonReport,
  { out: _out, record: _record, ...measured }: CompareCommand,
): PlanMeasurement {
  const words = formatOptions({ ...measured, json: false, quiet: false });
  const { labels, measuredSpeedup, predictedSpeedup, endToEndSpeedup } = report;
  return {
    command: `deno task compare ${words.join(" ")}`,
    machine: `${report.machine}, ${report.backend}`,
    values: {
      pictures: labels.length,
      speedup: rounded(measuredSpeedup),
      predictedSpeedup: rounded(predictedSpeedup),
      endToEndSpeedup: rounded(endToEndSpeedup),
      psnrDb: rounded(report.meanPsnrDb),
      ssim: rounded(report.meanSsim),
      ...(report.truth && {
        truthPsnrDb: rounded(mean(report.truth.planned.psnrDb)),
        fullTruthPsnrDb: rounded(mean(report.truth.full.psnrDb)),
      }),
    },
  };
}

/** The report in words, ending with a newline. */
export function describeComparison(report: ComparisonReport): string {
  const { full, planned, peakFeatureBytes: { measured, predicted } } = report;
  const line = (what: string, key: keyof typeof full, more: string): string =>
    `${what.padEnd(12)}${seconds(full[key])}${seconds(planned[key])}  ${more}`.trimEnd();
  const loops = `${report.measuredSpeedup.toFixed(2)} ×; predicted ` +
    `${report.predictedSpeedup.toFixed(2)} ×, of which ${(100 * report.efficiency).toFixed(0)} %`;
  return [
    `${report.labels.length} pictures of ${report.model}, ${report.steps} steps, ` +
    `guidance ${report.guidance}, in batches of ${report.batch}, medians of ${report.rounds} rounds`,
    `plan        ${report.plan.name}`,
    `${"".padEnd(12)}${"full".padStart(9)}${"plan".padStart(9)}`,
    line("loop", "loopSeconds", loops),
    line("conditioning", "conditioningSeconds", ""),
    line("end to end", "endToEndSeconds", `${report.endToEndSpeedup.toFixed(2)} ×`),
    `PSNR        ${report.meanPsnrDb.toFixed(2)} dB on average, ` +
    `${Math.min(...report.psnrDb).toFixed(2)} dB at least`,
    `SSIM        ${report.meanSsim.toFixed(4)} on average, ` +
    `${Math.min(...report.ssim).toFixed(4)} at least`,
    ...truthLines(report),
    `kept        ${measured} bytes at peak, ${predicted} predicted`,
    "",
  ].join("\n");
}

function truthLines({ truth }: ComparisonReport): string[] {
  if (truth === undefined) return [];
  const { solver: { calls, agreementDb }, full, planned } = truth;
  const [a, b] = [full, planned].map(({ psnrDb }) => `${mean(psnrDb).toFixed(2)} dB`);
  const [c, d] = [full, planned].map(({ latentMse }) => mean(latentMse).toExponential(1));
  return [
    `truth       full ${a}, plan ${b}: PSNR to the converged solution (${calls} calls, ` +
    `sure to ${Math.min(100, agreementDb).toFixed(0)} dB); ` +
    `latents ${c} and ${d} mean square`,
  ];
}

function seconds(value: number): string {
  return `${value.toFixed(2)} s`.padStart(9);
}

/** `Intel … , 2 cores, linux x64, deno 2.9.3`; the machine's own name is nobody's business. */
function machineText(): string {
  const versions: Readonly<Record<string, string | undefined>> = process.versions;
  const name = runtimeName();
  const [core] = cpus();
  return [
    core?.model.trim() || "unknown processor",
    `${cpus().length} cores`,
    `${process.platform} ${process.arch}`,
    `${name} ${versions[name] ?? ""}`,
  ].join(", ");
}

/** Four digits behind the point are more than any repetition keeps. */
function rounded(value: number): number {
  return Number(value.toFixed(4));
}
