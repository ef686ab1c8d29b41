/**
 * Mode `reference`: InvarDiff v1 as published for DiT and for FLUX. One run at a time, of DiT conditional
 * only and without guidance; both phases run all of them in full.
 *
 * The second pass computes what the first one did: it is run again, as published, because phase 2 must
 * see features after the thresholds of phase 1 are known, and keeping all of them would take the
 * memory of every module at every step.
 *
 * *Source:* InvarDiff (arXiv 2512.05134), published code v1, DiT and FLUX.
 */

import { PlanError } from "../../errors.ts";
import { grouped } from "../../grouped.ts";
import type { Transformer } from "../../model/module_graph.ts";
import type { Mask } from "../../plan/cache_book/layout.ts";
import type { Plan } from "../../plan/plan.ts";
import { type CalibrationTask, planOf, sliceConditions } from "../task.ts";
import {
  advanceRate,
  averageRates,
  changeDistance,
  NO_FEATURES,
  type RateState,
} from "./change_rate.ts";
import {
  finalChoice,
  type InvarDiffSettings,
  type MaskedModule,
  maskRows,
  provisionalChoice,
  type RatesByKind,
  type ReuseChoice,
} from "./invardiff.ts";
import { levelParameters } from "../levels.ts";
import { partTrajectoriesOf, recordSteps, type Trajectory } from "../record.ts";

/** Everything that the two phases found. */
export interface ReferenceRecord {
  /** Rates of phase 1, averaged over runs. */
  readonly phase1: RatesByKind;
  /** Rates of phase 2, averaged over runs. */
  readonly phase2: RatesByKind;
  /** What phase 1 chose and phase 2 consulted. */
  readonly provisional: ReuseChoice;
  /** The final masks, coupled. */
  readonly final: ReuseChoice;
}

/**
 * Calibrates as the published code does.
 *
 * @throws {PlanError} When the model is of no published family, or a feature or rate is not finite.
 * @throws {RangeError} When a level is absent or not in 0 … 1, or there are no conditions.
 */
export async function calibrateReference(task: CalibrationTask): Promise<Plan> {
  return await referencePlan(task, await recordReference(task));
}

/** The plan of what the two phases found. */
export async function referencePlan(task: CalibrationTask, found: ReferenceRecord): Promise<Plan> {
  const { transformer } = task.pipeline.model;
  return await planOf(task, {
    rows: maskRows(found.final.masks, maskedModules(transformer)),
    guidance: guidanceOf(task),
    policy: {
      name: "invardiff",
      parameters: { ...levelParameters(task.levels), warmup: task.warmup },
    },
    calibration: {
      mode: "reference",
      thresholds: {
        ...thresholdsOf("phase1", found.provisional),
        ...thresholdsOf("phase2", found.final),
      },
    },
  });
}

/**
 * Runs both phases.
 *
 * @throws {PlanError} When the model is of no published family, or a feature or rate is not finite.
 * @throws {RangeError} When a level is absent or not in 0 … 1, or there are no conditions.
 */
export async function recordReference(task: CalibrationTask): Promise<ReferenceRecord> {
  const { levels, warmup } = task;
  const settings: InvarDiffSettings = { levels, warmup, variant: publishedOf(task).variant };
  const phase1 = await recordPhase(task, { before: 0 });
  const provisional = provisionalChoice(phase1, settings);
  const phase2 = await recordPhase(task, { before: 1, masks: provisional.masks });
  return { phase1, phase2, provisional, final: finalChoice(phase1, phase2, settings) };
}

/** How a published code records. */
interface Published {
  readonly variant: InvarDiffSettings["variant"];
  /** Runs have the guidance of pictures; else they have none. */
  readonly guided: boolean;
}

const PUBLISHED: Readonly<Record<string, Published>> = {
  dit: { variant: "dit", guided: false },
  flux: { variant: "flux", guided: true },
};

function publishedOf({ pipeline: { model: { transformer } } }: CalibrationTask): Published {
  const { architecture } = transformer;
  const published = Object.hasOwn(PUBLISHED, architecture) ? PUBLISHED[architecture] : undefined;
  if (published !== undefined) return published;
  throw new PlanError(
    `Cannot calibrate: architecture must be ${
      Object.keys(PUBLISHED).join(" or ")
    } in mode reference: current value is ${architecture}`,
  );
}

function guidanceOf(task: CalibrationTask): number {
  return publishedOf(task).guided ? task.guidance : 1;
}

/** Modules with the masks of all their parts: a joint one is reused where all of them are. */
function maskedModules(transformer: Transformer): readonly MaskedModule[] {
  const parts = grouped(partTrajectoriesOf(transformer).slice(1), ({ name }) => name);
  return [...parts.values()].map((members) => ({
    kinds: members.map(({ kind }) => kind),
    column: members[0]!.column, // a module has a part, and its kinds as many columns
  }));
}

interface Phase {
  /** Phases that ran before. */
  readonly before: number;
  /** What phase 1 chose, for phase 2. */
  readonly masks?: Readonly<Record<string, Mask>>;
}

/** Rates of all runs, averaged. */
async function recordPhase(task: CalibrationTask, phase: Phase): Promise<RatesByKind> {
  const { conditions: { labels }, steps, onProgress } = task;
  const trajectories = partTrajectoriesOf(task.pipeline.model.transformer);
  const runs: RatesByKind[] = [];
  for (let run = 0; run < Math.max(1, labels.length); run++) {
    const before = (phase.before * labels.length + run) * steps;
    const onStep = (done: number): void => onProgress?.(before + done, 2 * labels.length * steps);
    runs.push(await recordRun(task, { run, trajectories, masks: phase.masks, onStep }));
  }
  return Object.fromEntries(
    Object.keys(runs[0]!).map((kind) => [kind, averageRates(runs.map((rates) => rates[kind]!))]),
  );
}

interface RunOptions {
  readonly run: number;
  readonly trajectories: readonly Trajectory[];
  readonly masks: Phase["masks"];
  readonly onStep: (done: number) => void;
}

/** Rates of one run; keeps one feature of each trajectory between steps. */
async function recordRun(task: CalibrationTask, options: RunOptions): Promise<RatesByKind> {
  const { trajectories, masks } = options;
  const conditions = sliceConditions(task.conditions, options.run, 1);
  const rates = emptyRates(trajectories, task.steps);
  const states = trajectories.map(({ kind, column }): TrajectoryState => {
    const reused = masks?.[kind]?.map((row) => row[column]!); // as wide as the rates it came from
    return { rate: NO_FEATURES, reference: undefined, reused };
  });
  const recorded = recordSteps({ ...task, conditions, guidance: guidanceOf(task) }, {
    probe: true,
  });
  for await (const { index, features } of recorded) {
    const parts = features.flat();
    for (const [t, { kind, column }] of trajectories.entries()) {
      const rate = addFeature(states[t]!, parts[t]!);
      if (rate !== undefined) rates[kind]![index - 1]![column] = rate;
    }
    options.onStep(index + 1);
  }
  return rates;
}

interface TrajectoryState {
  rate: RateState;
  reference: Float32Array | undefined;
  readonly reused: readonly boolean[] | undefined;
}

/** Updates a state with one more feature; returns the change rate of the previous row, if it is known now. */
function addFeature(state: TrajectoryState, feature: Float32Array): number | undefined {
  const { reference } = state;
  const distance = reference === undefined ? 0 : changeDistance(feature, reference);
  const update = advanceRate(state.rate, distance, state.reused);
  state.rate = update.state;
  if (update.advances) state.reference = feature;
  return update.rate;
}

/** Tables of ones: rows 0 and T-1 have no rate. */
function emptyRates(
  trajectories: readonly Trajectory[],
  steps: number,
): Readonly<Record<string, Float32Array[]>> {
  const columns = grouped(trajectories, ({ kind }) => kind);
  return Object.fromEntries(
    [...columns].map(([kind, { length }]) => [
      kind,
      Array.from({ length: steps }, () => new Float32Array(length).fill(1)),
    ]),
  );
}

function thresholdsOf(
  phase: string,
  { thresholds }: ReuseChoice,
): Readonly<Record<string, number>> {
  return Object.fromEntries(
    Object.entries(thresholds).map(([kind, value]) => [`${phase}.${kind}`, value]),
  );
}
