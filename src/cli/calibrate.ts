/**
 * `calibrate`: records full runs of a model and writes the plan that they give.
 *
 * @module
 */

import { basename } from "node:path";
import {
  type CalibrationTask,
  type Conditions,
  type Mode,
  seededConditions,
} from "../calibrate/task.ts";
import { calibrateGuided } from "../calibrate/guided/guided.ts";
import { checkLevels, levelsLike } from "../calibrate/levels.ts";
import { calibrateReference } from "../calibrate/reference/reference.ts";
import { calibrateSearch } from "../calibrate/search/search_mode.ts";
import { calibrateTradeOff, type TradeOffPoint } from "../calibrate/trade_off.ts";
import type { Engine } from "../engine/engine.ts";
import type { Model } from "../model/model.ts";
import { resolveRequest } from "../engine/request.ts";
import { planDigest } from "../plan/digest.ts";
import type { Plan } from "../plan/plan.ts";
import { renderText } from "../plan/render/text.ts";
import type { CalibrateCommand } from "./calibrate_options.ts";
import { readConditions } from "./conditions.ts";
import { expectWritable } from "./files.ts";
import { openedText, openFor } from "./open.ts";
import { formatOptions } from "./options.ts";
import { announce, type Output, progressOutput, tell } from "./output.ts";
import { factsOf } from "./plan_facts.ts";
import { writePlan } from "./plan_file.ts";
import { type Progress, startProgress } from "./progress.ts";

/** Runs the command. */
export async function calibrate(command: CalibrateCommand, signal: AbortSignal): Promise<void> {
  await expectWritable(command.out);
  const pipeline = await openFor(command, { signal });
  try {
    announce([openedText(pipeline)], command);
    const began = performance.now();
    const points: TradeOffPoint[] = [];
    const task = await taskOf(pipeline, command, signal);
    const plan = await runMode(modeOf(command, points), { task, output: command });
    const labelled = withProvenance(plan, { command, points, pipeline });
    await writePlan(command.out, labelled);
    const { backend, model } = pipeline;
    const { sampler, policy, calibration, measured } = labelled;
    const report = {
      ...{ model: model.id, fingerprint: await model.fingerprint(), backend: backend.description },
      plan: {
        name: command.out,
        digest: planDigest(labelled),
        steps: sampler.times.length,
        policy,
      },
      ...{ labels: calibration?.conditions, seeds: calibration?.seeds, measured, tradeOff: points },
      seconds: (performance.now() - began) / 1000,
    };
    const facts = factsOf({ name: command.out, plan: labelled }, model);
    const text = `${curveOf(points)}${renderText(labelled)}\n${facts}`;
    const what = `a plan of ${sampler.times.length} steps`;
    tell({ report, text, files: [{ path: command.out, what }] }, command);
  } finally {
    await pipeline.close();
  }
}

/** The mode that was asked for, with its options filled in. */
function modeOf(command: CalibrateCommand, points: TradeOffPoint[]): Mode {
  const { mode, targetSpeedup: speedup, timeBudget: seconds, trials } = command;
  if (mode === "reference") return calibrateReference;
  if (speedup === undefined) return calibrateGuided;
  if (mode === "search") return (task) => calibrateSearch({ ...task, speedup, trials });
  const onTrial = (point: TradeOffPoint): void => {
    points.push(point);
    announce([`measured ${pointText(point)}`], command);
  };
  return (task) => calibrateTradeOff({ ...task, speedup, seconds, onTrial });
}

async function taskOf(
  pipeline: Engine,
  command: CalibrateCommand,
  signal: AbortSignal,
): Promise<CalibrationTask> {
  const { warmup, longest } = command;
  const levels = levelsFor(pipeline.model, command);
  const conditions = await conditionsOf(pipeline, command);
  const { labels, noise, given } = conditions;
  const { steps, guidance } = resolveRequest(pipeline.model, {
    ...given,
    ...(command.steps !== undefined && { steps: command.steps }),
    ...(command.guidance !== undefined && { guidance: command.guidance }),
    labels,
    noise,
  });
  return { pipeline, steps, guidance, conditions, levels, warmup, longest, signal };
}

/** Those that were asked for, else a DiT's on the model's kinds; with a target they are looked for. */
function levelsFor(
  { transformer }: Model,
  { mode, quantile, targetSpeedup }: CalibrateCommand,
): Readonly<Record<string, number>> {
  if (mode === "search" || targetSpeedup !== undefined) return levelsLike({}, transformer);
  if (quantile === undefined) return levelsLike(DEFAULT_LEVELS[mode], transformer);
  const pairs = quantile.map((pair) => pair.split("=")).map(([kind, q]) => [kind, Number(q)]);
  const levels = Object.fromEntries(pairs);
  checkLevels(levels, transformer);
  return levels;
}

/** `reference`: the published slow mode of DiT. Other models have its levels on kinds of their own. */
const DEFAULT_LEVELS = {
  reference: { step: 0.61, attn: 0.2 },
  guided: { step: 0.61, attn: 0 },
};

async function conditionsOf(
  pipeline: Engine,
  { conditions, runs, seed }: CalibrateCommand,
): Promise<Conditions> {
  if (conditions === undefined) return seededConditions(pipeline, { runs, seed });
  return { ...await readConditions(conditions), seeds: [] };
}

/** Runs a mode behind a progress bar. */
async function runMode(
  mode: Mode,
  { task, output }: { readonly task: CalibrationTask; readonly output: Output },
): Promise<Plan> {
  let progress: Progress | undefined;
  const onProgress = (done: number, total: number): void => {
    progress ??= startProgress(total, progressOutput(output));
    progress.step(done);
    if (done === total) progress.finish();
  };
  try {
    return await mode({ ...task, onProgress });
  } catch (error) {
    progress?.abort();
    throw error;
  }
}

interface Provenance {
  readonly command: CalibrateCommand;
  readonly points: readonly TradeOffPoint[];
  readonly pipeline: Engine;
}

/** Adds the file of conditions, and what was measured of the plan. */
function withProvenance(plan: Plan, { command, points, pipeline }: Provenance): Plan {
  const { conditions, targetSpeedup: speedup = 1 } = command;
  const policy = conditions === undefined ? plan.policy : {
    ...plan.policy,
    parameters: { ...plan.policy.parameters, conditions: basename(conditions) },
  };
  const [best] = points.filter(({ predicted }) => predicted >= speedup)
    .toSorted((a, b) => b.psnr - a.psnr);
  if (best === undefined) return { ...plan, policy };
  const values = { psnrDb: rounded(best.psnr), predictedSpeedup: rounded(best.predicted) };
  const measured = {
    command: ["deno task calibrate", ...formatOptions({ ...command, json: false, quiet: false })]
      .join(" "),
    machine: pipeline.backend.description,
    values,
  };
  return { ...plan, policy, measured };
}

/** The trade-off curve, fastest last; empty without measured plans. */
function curveOf(points: readonly TradeOffPoint[]): string {
  if (points.length === 0) return "";
  const rows = points.toSorted((a, b) => a.predicted - b.predicted).map(pointText);
  return ["trade-off on held-back conditions:", ...rows, ""].map((row) => `${row}\n`).join("");
}

function pointText({ predicted, psnr, levels }: TradeOffPoint): string {
  const shares = Object.entries(levels).map(([kind, level]) => `${kind} ${level.toFixed(2)}`);
  return `${predicted.toFixed(2).padStart(6)} ×  ${psnr.toFixed(2).padStart(6)} dB  ${
    shares.join(", ")
  }`;
}

/** Two decimals: more would be noise. */
function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}
