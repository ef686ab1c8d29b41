/**
 * Mode `search` as a mode of calibration: half of the conditions are measured, the other half decides.
 */

import { modelCost } from "../../engine/plan_facts.ts";
import { type ModelCost, rowMacs } from "../../plan/cost.ts";
import type { Plan } from "../../plan/plan.ts";
import { evenRow, type Row, STATE_ROWS } from "../../plan/row.ts";
import {
  type CalibrationTask,
  planOf,
  requestOf,
  type RunConditions,
  sliceConditions,
} from "../task.ts";
import { recordDrift } from "../guided/drift.ts";
import { expectedError, type RowShares } from "./expected_error.ts";
import { placeFullSteps } from "./placement.ts";
import { measureReuse, type ReuseErrors } from "./reuse_error.ts";
import { measureRows } from "./row_error.ts";
import { type SearchProblem, searchRows } from "./search.ts";
import { type MeasuredRows, measureOn } from "./search_trials.ts";
import { guidedRows } from "../trade_off.ts";
import { openTrials, type TrialSubject } from "../trials.ts";

/** A calibration that searches. */
export interface SearchTask extends Omit<CalibrationTask, "levels" | "warmup"> {
  /** Least predicted speed-up of the plan. */
  readonly speedup: number;
  /** Most trial runs on the held-back conditions. */
  readonly trials: number;
}

/** Longest run of reused steps whose error is measured. */
const LONGEST_REUSE = 7;

/**
 * Searches a plan of at least the wanted predicted speed-up.
 *
 * @throws {RangeError} When there are fewer than two conditions, or no plan is that fast.
 * @throws {PlanError} When a feature is not finite; names step and module.
 */
export async function calibrateSearch(task: SearchTask): Promise<Plan> {
  const { conditions, speedup, trials } = task;
  if (conditions.labels.length < 2) {
    throw new RangeError(
      "Cannot search: runs must be at least 2, to measure on some and decide on others: " +
        `current value is ${conditions.labels.length}`,
    );
  }
  const report = progressOf(task);
  const found = await searchRows(await problemOf(task, report), {
    speedup,
    trials,
    onProgress: report("trials"),
  });
  report("trials")(trials);
  const { start, moves, tried } = found;
  return await planOf({ ...task, levels: {}, warmup: 0 }, {
    rows: found.rows,
    guidance: task.guidance,
    policy: {
      name: "search",
      parameters: {
        ...{ speedup, trials, longestReuse: LONGEST_REUSE, start },
        ...prefixed("moves", moves),
        ...prefixed("tried", tried),
      },
    },
    calibration: { mode: "search", thresholds: {} },
  });
}

/** Stages of the work, in order. */
const STAGES = ["drift", "reuse", "rows", "trials"] as const;

type Report = (stage: typeof STAGES[number]) => (done: number) => void;

/** Counts steps and trials over all stages. */
function progressOf({ conditions, steps, trials, onProgress }: SearchTask): Report {
  const recorded = Math.ceil(conditions.labels.length / 2);
  const sizes = { drift: recorded * steps, reuse: steps, rows: steps, trials };
  const total = STAGES.reduce((sum, stage) => sum + sizes[stage], 0);
  return (stage) => {
    const before = STAGES.slice(0, STAGES.indexOf(stage)).reduce(
      (sum, each) => sum + sizes[each],
      0,
    );
    return (done) => onProgress?.(before + done, total);
  };
}

/** Measures on the first half of the conditions; the problem measures on the second. */
async function problemOf(task: SearchTask, report: Report): Promise<SearchProblem<MeasuredRows>> {
  const { conditions, steps, speedup } = task;
  const half = Math.ceil(conditions.labels.length / 2);
  const first = sliceConditions(conditions, 0, half);
  const drifts = await recordDrift({
    ...{ ...task, conditions: first, levels: {}, warmup: 0 },
    onProgress: report("drift"),
  });
  const recorded = await openTrials(subjectOf(task, first));
  const { transformer } = recorded.subject.request.scene;
  const longest = Math.min(LONGEST_REUSE, steps - 1);
  const errors = await measureReuse(recorded, { longest, onProgress: report("reuse") });
  const cost = modelCost(transformer);
  const count = fullStepCount(cost, steps, speedup);
  const age = Math.max(1, Math.round(steps / Math.max(1, count)) - 1);
  const shares = await measureRows(recorded, { age, onProgress: report("rows") });
  const heldBack = await openTrials(subjectOf(task, sliceConditions(conditions, half, half)));
  const guided = guidedRows({ ...task, levels: {}, warmup: 0 }, drifts, speedup);
  return {
    modules: transformer.modules.map(({ name }) => name),
    cost,
    starts: new Map([
      ...fullStepStarts(errors, { steps, count, modules: transformer.modules.length, shares }),
      ...guided.map((rows, i) => [`guided ${i + 1}`, rows] as const),
    ]),
    expected: (rows) => expectedError(rows, errors, shares),
    measure: (rows, known) => measureOn(heldBack, rows, known),
  };
}

/** The largest number of full steps that is fast enough, the others reusing every feature. */
function fullStepCount(cost: ModelCost, steps: number, speedup: number): number {
  const full = rowMacs(evenRow("run", cost.modules.length), cost);
  const reuse = rowMacs(evenRow("reuse", cost.modules.length), cost);
  return Math.floor((steps * full / speedup - steps * reuse) / (full - reuse));
}

interface StartOptions {
  readonly steps: number;
  readonly count: number;
  readonly modules: number;
  readonly shares: RowShares;
}

/** Full steps where they are expected to leave the least error, and evenly. */
function fullStepStarts(errors: ReuseErrors, options: StartOptions): readonly Start[] {
  const { steps, count, modules, shares } = options;
  if (count < 1) return [];
  const [run, reuse] = [evenRow("run", modules), evenRow("reuse", modules)];
  const features = Array.from({ length: steps }, () => reuse);
  const cheap = [reuse, STATE_ROWS.hidden, STATE_ROWS.residual];
  const states = shares.map((known) => leastOf(cheap, known)); // one for each step
  const withFull = (rows: readonly Row[], full: readonly number[]): readonly Row[] =>
    rows.map((row, step) => full.includes(step) ? run : row);
  const evenly = Array.from({ length: count }, (_, i) => Math.floor(i * steps / count));
  const starts: Start[] = [["uniform", withFull(features, evenly)]];
  if (count * (errors.longest + 1) < steps) return starts;
  const least = {
    ...errors,
    final: errors.final.map((row) => row.map((e, j) => e * (shares[j]!.get(states[j]!.text) ?? 1))),
  };
  return [
    ["placed", withFull(features, placeFullSteps(errors, steps, count))],
    ["placed states", withFull(states, placeFullSteps(least, steps, count))],
    ...starts,
  ];
}

type Start = readonly [string, readonly Row[]];

/** The row of least error; a row without a share has 1. */
function leastOf(rows: readonly Row[], shares: ReadonlyMap<string, number>): Row {
  const shareOf = ({ text }: Row): number => shares.get(text) ?? 1;
  return rows.reduce((best, row) => shareOf(row) < shareOf(best) ? row : best);
}

function subjectOf(task: SearchTask, conditions: RunConditions): TrialSubject {
  const { pipeline, signal } = task;
  return { pipeline, signal, request: requestOf({ ...task, conditions }) };
}

function prefixed(name: string, counts: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(counts).map(([key, count]) => [`${name}.${key}`, count]),
  );
}
