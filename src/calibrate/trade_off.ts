/**
 * Which levels of mode `guided` give the best pictures at a wanted speed-up: drift is recorded on the first half
 * of the conditions, plans are measured on the other half.
 */

import { modelCost } from "../engine/plan_facts.ts";
import { type CompiledPlan, compilePlan } from "../plan/compile.ts";
import { predictSpeedup } from "../plan/cost.ts";
import type { Plan, PlanRows } from "../plan/plan.ts";
import { type Row, textOf } from "../plan/row.ts";
import { type CalibrationTask, requestOf, sliceConditions } from "./task.ts";
import { type Drift, recordDrift } from "./guided/drift.ts";
import { type GuidedChoice, guidedChoice, guidedPlan, guidedSettings } from "./guided/guided.ts";
import { openTrials, psnrToFull, trial, type Trials } from "./trials.ts";

/** A calibration that looks for its levels. */
export interface TradeOffTask extends Omit<CalibrationTask, "levels"> {
  /** Least predicted speed-up of the plan. */
  readonly speedup: number;
  /** A plan is not tried if its measurement would probably end later than this many seconds after the start. */
  readonly seconds: number;
  /** Called with every measured plan. */
  readonly onTrial?: ((trial: TradeOffPoint) => void) | undefined;
}

/** A measured plan. */
export interface TradeOffPoint {
  /** Its levels by kind. */
  readonly levels: Readonly<Record<string, number>>;
  /** Predicted speed-up. */
  readonly predicted: number;
  /** Mean PSNR in dB to the full run, on the held-back conditions. */
  readonly psnr: number;
}

/** Levels of modules that are tried; on the embedded model reusing whole steps only is best. */
const MODULE_LEVELS = [0, 0.1, 0.25];
/** Other speed-ups, relative to the wanted one, that complete the curve while there is time. */
const CURVE = [0.7, 1.3, 0.85, 1.6];

/**
 * Finds the best levels.
 *
 * @throws {RangeError} When there are fewer than two conditions, or no levels give that speed-up.
 * @throws {PlanError} When a feature is not finite; names step and module.
 */
export async function calibrateTradeOff(task: TradeOffTask): Promise<Plan> {
  const started = performance.now();
  const elapsed = (): number => (performance.now() - started) / 1000;
  const { drifts, heldBack } = await prepare(task);
  const [first, ...others] = candidatesOf(task, drifts);
  let best = await measure(first!, heldBack, task); // there is at least one, and it is fast enough
  let longest = 0;
  for (const candidate of others) {
    const before = elapsed();
    if (before + longest > task.seconds) break;
    const measured = await measure(candidate, heldBack, task);
    longest = Math.max(longest, elapsed() - before);
    if (measured.predicted >= task.speedup && measured.psnr > best.psnr) best = measured;
  }
  return await guidedPlan({ ...task, levels: best.levels }, best.choice);
}

/**
 * Rows that guided calibration chooses for at least this speed-up, with none to some of the modules
 * of computed steps reused; empty when it cannot reach that speed-up.
 */
export function guidedRows(
  task: CalibrationTask,
  drifts: readonly Drift[],
  speedup: number,
): readonly (readonly Row[])[] {
  return MODULE_LEVELS.map((level) => slowestAbove(speedup, level, { task, drifts }))
    .flatMap((candidate) => candidate === undefined ? [] : [candidate.choice.rows]);
}

interface Candidate {
  readonly levels: Readonly<Record<string, number>>;
  readonly choice: GuidedChoice;
  readonly compiled: CompiledPlan<PlanRows>;
  readonly predicted: number;
}

interface Measured extends Candidate {
  readonly psnr: number;
}

async function prepare(
  task: TradeOffTask,
): Promise<{ readonly drifts: readonly Drift[]; readonly heldBack: Trials }> {
  const { conditions, pipeline, signal } = task;
  const count = conditions.labels.length;
  if (count < 2) {
    throw new RangeError(
      "Cannot calibrate: runs must be at least 2, to record some and decide on others: " +
        `current value is ${count}`,
    );
  }
  const half = Math.ceil(count / 2);
  const recorded = sliceConditions(conditions, 0, half);
  const drifts = await recordDrift({ ...task, conditions: recorded, levels: {} });
  const request = requestOf({
    ...task,
    conditions: sliceConditions(conditions, half, count - half),
  });
  return { drifts, heldBack: await openTrials({ pipeline, request, signal }) };
}

/** Distinct choices, those that are tried for the wanted speed-up first. */
function candidatesOf(task: TradeOffTask, drifts: readonly Drift[]): Candidate[] {
  const wanted = [
    ...MODULE_LEVELS.map((level) => [task.speedup, level] as const),
    ...CURVE.map((factor) => [task.speedup * factor, 0] as const),
  ];
  const found = new Map<string, Candidate>();
  for (const [speedup, level] of wanted) {
    const candidate = slowestAbove(speedup, level, { task, drifts });
    if (candidate === undefined) continue;
    const key = textOf(candidate.choice.rows);
    if (!found.has(key)) found.set(key, candidate);
  }
  const candidates = [...found.values()].filter(({ predicted }) => predicted > 1);
  if (candidates[0] !== undefined && candidates[0].predicted >= task.speedup) return candidates;
  throw new RangeError(
    `Cannot calibrate: no plan of ${task.steps} steps` +
      `${task.longest === undefined ? "" : ` that reuses for at most ${task.longest} in a row`} ` +
      `reaches the target speed-up of ${task.speedup}.`,
  );
}

interface SpeedOptions {
  readonly task: Omit<CalibrationTask, "levels">;
  readonly drifts: readonly Drift[];
}

/** The choice of the smallest level of steps that is fast enough. */
function slowestAbove(
  speedup: number,
  moduleLevel: number,
  { task, drifts }: SpeedOptions,
): Candidate | undefined {
  const { transformer } = requestOf(task).scene;
  const cost = modelCost(transformer);
  const modules = transformer.modules.map(({ name }) => name);
  for (let reused = 0; reused < task.steps; reused++) {
    const step = reused / Math.max(1, task.steps - 1);
    const levels = Object.fromEntries(
      drifts.map(({ kind }) => [kind, kind === "step" ? step : moduleLevel]),
    );
    const choice = guidedChoice(drifts, guidedSettings({ ...task, levels }));
    const rows = choice.rows.map((row) => [row]);
    const compiled = compilePlan({ modules, slots: ["joint"], rows });
    const predicted = predictSpeedup(compiled, cost);
    if (predicted >= speedup) return { levels, choice, compiled, predicted };
  }
  return undefined;
}

async function measure(
  candidate: Candidate,
  heldBack: Trials,
  { onTrial }: TradeOffTask,
): Promise<Measured> {
  const { steps } = candidate.compiled;
  const trajectory = await trial(heldBack, steps);
  const measured = { ...candidate, psnr: await psnrToFull(heldBack, trajectory) };
  onTrial?.(measured);
  return measured;
}
