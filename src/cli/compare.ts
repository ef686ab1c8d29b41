/**
 * `compare`: what a plan saves and what it costs in accuracy, measured against full computation.
 */

import { openPlatformStore } from "../assets/hub/hub_settings.ts";
import { conditionsOfRuns } from "../calibrate/prompted_conditions.ts";
import { sliceConditions } from "../calibrate/task.ts";
import {
  comparedSteps,
  comparePlan,
  type Comparison,
  type ComparisonTask,
} from "../calibrate/compare.ts";
import { encodePng } from "../image/png.ts";
import { resolvePlan } from "../engine/prepare.ts";
import type { Model } from "../model/model.ts";
import { PlanError } from "../errors.ts";
import type { Plan } from "../plan/plan.ts";
import type { CompareCommand } from "./compare_options.ts";
import {
  type ComparisonReport,
  comparisonReport,
  describeComparison,
  measurementOf,
} from "./compare_report.ts";
import { readConditions } from "./conditions.ts";
import { contactSheet } from "./contact_sheet.ts";
import { expectWritable, writeWhole } from "./files.ts";
import { expectPixels } from "./pixels.ts";
import { readWantedPlan, writePlan } from "./plan_file.ts";
import { openedText, openFor } from "./open.ts";
import {
  announce,
  counted,
  type Output,
  tell,
  warn,
  withProgress,
  type WrittenFile,
} from "./output.ts";
import { precisionText } from "./precision_text.ts";

/** Pictures unless it is said how many: every class once and some twice. */
const DEFAULT_COUNT = 16;

export async function compare(command: CompareCommand, signal: AbortSignal): Promise<void> {
  await expectWritable(command.out, command.record);
  const wanted = await readWantedPlan(command);
  const given = command.conditions === undefined
    ? undefined
    : await readConditions(command.conditions);
  const onModel = (model: Model): void => {
    if (command.out !== undefined) expectPixels(model, command.out);
  };
  const pipeline = await openFor(command, { signal, onModel });
  try {
    const { named, reason } = await resolvePlan(pipeline.model, { plan: wanted ?? command.plan });
    if (named === undefined) throw new PlanError(`Cannot compare: --plan must be given: ${reason}`);
    const { count, seed, rounds } = command;
    const conditions = given === undefined
      ? await conditionsOfRuns(pipeline, { runs: count ?? DEFAULT_COUNT, seed })
      : sliceConditions(given, 0, count ?? given.labels.length);
    const weights = `weights ${precisionText(pipeline.precision)}`;
    announce([openedText(pipeline), weights, `plan ${named.name}: ${reason}`], command);
    const truth = command.truth ? await truthFor(command) : undefined;
    const task = { pipeline, plan: named.plan, conditions, rounds, truth, signal };
    const total = comparedSteps(task);
    const comparison = await withProgress(
      { total, ...command },
      (onProgress) => comparePlan({ ...task, onProgress }),
    );
    const report = await comparisonReport(comparison, { pipeline, named, conditions, rounds });
    const files = await writeResults(command, { ...named, ...comparison, report });
    warn(report.notices, command);
    tell({ report, text: describeComparison(report), files }, command);
  } finally {
    await pipeline.close();
  }
}

/** Keeps converged solutions beside downloads, and tells what is computed. */
export async function truthFor(output: Output): Promise<ComparisonTask["truth"]> {
  const store = await openPlatformStore(() => {});
  return { store, onStage: (what) => announce([what], output) };
}

async function writeResults(
  command: CompareCommand,
  { plan, pictures, report }: Pick<Comparison, "pictures"> & {
    readonly plan: Plan;
    readonly report: ComparisonReport;
  },
): Promise<WrittenFile[]> {
  const { out, record } = command;
  const files: WrittenFile[] = [];
  if (out !== undefined) {
    await writeWhole(out, [await encodePng(contactSheet(pictures.full, pictures.planned))]);
    const count = counted(report.labels.length, "picture");
    files.push({ path: out, what: `${count}: in full, with the plan, difference × 4` });
  }
  if (record !== undefined) {
    await writePlan(record, { ...plan, measured: measurementOf(report, command) });
    files.push({ path: record, what: "the plan with these numbers" });
  }
  return files;
}
