/**
 * What a finished `generate` tells.
 *
 * @module
 */

import process from "node:process";
import type { Generated, Pipeline } from "../engine/pipeline.ts";

/** The result of one batch. */
export type BatchResult = Generated;

/** Facts of a run, as `--json` prints them. */
export interface Report {
  /** Name of the model. */
  readonly model: string;
  /** Identity of the model. */
  readonly fingerprint: string;
  /** Provider, device and threads. */
  readonly backend: string;
  /** Why this provider. */
  readonly reason: string;
  /** Label of each picture. */
  readonly labels: readonly number[];
  /** Seed of the first picture; absent when noise was given. */
  readonly seed?: number;
  /** Sampling steps. */
  readonly steps: number;
  /** Guidance scale. */
  readonly guidance: number;
  /** Graphs run in a step. */
  readonly runsPerStep: number;
  /** Seconds of the sampling loops. */
  readonly seconds: number;
  /** Seconds of conditioning, ahead of the loops. */
  readonly conditioningSeconds: number;
  /** Median-free mean: milliseconds of one step of one batch. */
  readonly msPerStep: number;
  /** Arithmetic of the loops: 2 × multiply-accumulates ÷ seconds ÷ 10⁹. */
  readonly gflopPerSecond: number;
  /** Largest resident memory of the process so far. */
  readonly peakMemoryMiB: number;
}

/** Adds batches up. */
export async function summarise(
  { model, backend, choice, runsPerStep }: Pipeline,
  batches: readonly BatchResult[],
  seed: number | undefined,
): Promise<Report> {
  const { steps, guidance } = batches[0]!; // at least one picture was asked for
  const labels = batches.flatMap((batch) => batch.labels);
  const seconds = sum(batches, ({ loopSeconds }) => loopSeconds);
  const { embedding, modules, head } = model.transformer;
  const macs = embedding.macs + head.macs +
    modules.reduce((total, module) => total + module.macs.branch + module.macs.merge, 0);
  const rows = labels.length * (guidance === 1 ? 1 : 2);
  return {
    model: model.id,
    fingerprint: await model.fingerprint(),
    backend: backend.description,
    reason: choice.reason,
    labels,
    ...(seed !== undefined && { seed }),
    steps,
    guidance,
    runsPerStep,
    seconds,
    conditioningSeconds: sum(batches, (batch) => batch.conditioningSeconds),
    msPerStep: seconds * 1000 / (steps * batches.length),
    gflopPerSecond: 2 * macs * rows * steps / seconds / 1e9,
    peakMemoryMiB: process.resourceUsage().maxRSS / 1024,
  };
}

/** The report in words, ending with a newline. */
export function describe(report: Report): string {
  const pictures = report.labels.length === 1 ? "1 picture" : `${report.labels.length} pictures`;
  return [
    `${pictures} of ${report.model}, ${report.steps} steps, guidance ${report.guidance}` +
    (report.seed === undefined ? "" : `, seed ${report.seed}`),
    `backend      ${report.backend} (${report.reason})`,
    `loop         ${report.seconds.toFixed(2)} s, ${report.msPerStep.toFixed(1)} ms per step, ` +
    `${report.gflopPerSecond.toFixed(1)} GFLOP/s, ${report.runsPerStep} runs per step`,
    `conditioning ${report.conditioningSeconds.toFixed(2)} s, ahead of the loop`,
    `peak memory  ${report.peakMemoryMiB.toFixed(0)} MiB`,
    "",
  ].join("\n");
}

function sum<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}
