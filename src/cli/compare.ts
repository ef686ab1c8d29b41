/**
 * `compare`: what a plan saves and what it costs in accuracy, measured against full computation.
 *
 * @module
 */

import process from "node:process";
import { type Conditions, seededConditions, sliceConditions } from "../calibrate/task.ts";
import {
  comparedRuns,
  comparePlan,
  type Comparison,
  type ComparisonTask,
} from "../calibrate/compare.ts";
import type { NamedPlan } from "../engine/bundled_plans.ts";
import type { Pipeline } from "../engine/pipeline.ts";
import { encodePng } from "../image/png.ts";
import { PlanError } from "../errors.ts";
import type { CompareCommand } from "./compare_options.ts";
import {
  type ComparisonReport,
  describeComparison,
  measurementOf,
  reportOf,
} from "./compare_report.ts";
import { type GivenConditions, readConditions } from "./conditions.ts";
import { contactSheet } from "./contact_sheet.ts";
import { expectWritable, writeWhole } from "./files.ts";
import { expectPixels } from "./pixels.ts";
import { choosePlan, readWantedPlan } from "./plan_choice.ts";
import { writePlan } from "./plan_file.ts";
import { openFor } from "./open.ts";
import { precisionText } from "./precision_text.ts";
import { startProgress } from "./progress.ts";

/** Pictures unless it is said how many: every class once and some twice. */
const DEFAULT_COUNT = 16;

/** Runs the command. */
export async function compare(command: CompareCommand, signal: AbortSignal): Promise<void> {
  for (const path of [command.out, command.record]) {
    if (path !== undefined) await expectWritable(path);
  }
  const wanted = await readWantedPlan(command);
  const given = command.conditions === undefined
    ? undefined
    : await readConditions(command.conditions);
  const pipeline = await openFor(command, signal);
  try {
    const { named, reason } = await choosePlan(pipeline, { plan: command.plan, wanted });
    if (named === undefined) throw new PlanError(`Cannot compare: --plan must be given: ${reason}`);
    if (command.out !== undefined) expectPixels(pipeline.model, command.out);
    const conditions = conditionsOf(pipeline, command, given);
    process.stderr.write(
      `${pipeline.model.id} on ${pipeline.backend.description}: ${pipeline.choice.reason}\n` +
        `weights ${precisionText(pipeline.precision)}\nplan ${named.name}: ${reason}\n`,
    );
    const { rounds } = command;
    const comparison = await measure({ pipeline, plan: named.plan, conditions, rounds, signal });
    const report = await reportOf(comparison, { pipeline, named, conditions, rounds });
    await writeResults(command, { named, comparison, report });
    process.stdout.write(command.json ? JSON.stringify(report) + "\n" : describeComparison(report));
  } finally {
    await pipeline.close();
  }
}

function conditionsOf(
  pipeline: Pipeline,
  { count, seed }: CompareCommand,
  given: GivenConditions | undefined,
): Conditions {
  if (given === undefined) {
    return seededConditions(pipeline, { runs: count ?? DEFAULT_COUNT, seed });
  }
  return sliceConditions({ ...given, seeds: [] }, 0, count ?? given.labels.length);
}

async function measure(task: ComparisonTask): Promise<Comparison> {
  const steps = task.plan.sampler.times.length;
  const progress = startProgress(comparedRuns(task) * steps, {
    write: (text) => void process.stderr.write(text),
    isTty: process.stderr.isTTY === true,
  });
  try {
    const comparison = await comparePlan({ ...task, onProgress: (done) => progress.step(done) });
    progress.finish();
    return comparison;
  } catch (error) {
    progress.abort();
    throw error;
  }
}

/** What the files are made of. */
interface Results {
  readonly named: NamedPlan;
  readonly comparison: Comparison;
  readonly report: ComparisonReport;
}

async function writeResults(
  command: CompareCommand,
  { named: { plan }, comparison: { pictures }, report }: Results,
): Promise<void> {
  const { out, record } = command;
  if (out !== undefined) {
    await writeWhole(out, [await encodePng(contactSheet(pictures.full, pictures.planned))]);
  }
  if (record !== undefined) {
    await writePlan(record, { ...plan, measured: measurementOf(report, command) });
  }
}
