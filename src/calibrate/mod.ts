/**
 * The method of the paper in code: record a model, choose what to reuse, and compare the plan with full
 * computation. `plan: "auto"` does not need it; this is for models of your own.
 *
 * ```ts ignore
 * import { openPipeline } from "@invardiff/edge";
 * import { calibrate, compare } from "@invardiff/edge/calibrate";
 *
 * const pipeline = await openPipeline("my-model/");
 * const plan = await calibrate(pipeline, { mode: "search", targetSpeedup: 2.5 });
 * const { measuredSpeedup, psnrDb } = await compare(pipeline, { plan, runs: 16 });
 * ```
 *
 * @module
 */

import { openPlatformStore } from "../assets/hub/hub_settings.ts";
import { type Engine, engineOf } from "../engine/engine.ts";
import type { Pipeline } from "../engine/pipeline.ts";
import { resolveRequest } from "../engine/request.ts";
import type { Plan } from "../plan/plan.ts";
import { comparePlan, type Comparison } from "./compare.ts";
import { calibrateGuided } from "./guided/guided.ts";
import { calibrateFit } from "./fit/fit_mode.ts";
import type { FitTask } from "./fit/fit_task.ts";
import { checkLevels, levelsLike } from "./levels.ts";
import { calibratePolicy } from "./policies/run_policy.ts";
import { choosePolicy } from "./policies/table.ts";
import { calibrateReference } from "./reference/reference.ts";
import { calibrateSearch } from "./search/search_mode.ts";
import { conditionsOfRuns } from "./prompted_conditions.ts";
import type { CalibrationTask, RunConditions } from "./task.ts";
import { calibrateTradeOff, type TradeOffPoint } from "./trade_off.ts";

export type { ConditionOptions } from "../engine/request.ts";
export type { Comparison, Timing } from "./compare.ts";
export type { ToTruth } from "./truth.ts";
export type { KeptSolver } from "./truth_store.ts";
export type { RunConditions } from "./task.ts";
export type { TradeOffPoint } from "./trade_off.ts";

/** What pictures are recorded or compared. */
export interface RecordedRuns {
  /**
   * Pictures; picture i has class i, in turn, or the i-th prompt that the model says that it knows, after those one of
   * its phrases by lot, and noise of `seed + i`. 16 unless given.
   */
  readonly runs?: number | undefined;
  /** Seed of the first picture; 42 unless given. */
  readonly seed?: number | undefined;
  /** Labels and noise instead, for text-conditioned models and others. */
  readonly conditions?: RunConditions | undefined;
  /** Stops before the next graph. */
  readonly signal?: AbortSignal | undefined;
}

/** How to calibrate. */
export interface CalibrateOptions extends RecordedRuns {
  /**
   * `guided` weighs drift by the sampler, `search` measures what reuse costs and needs a target, `fit` chooses few
   * times and weights of the model's outputs and needs a target too, `reference` follows the published code. `guided`
   * unless given.
   */
  readonly mode?: ModeName | undefined;
  /**
   * A method of the field instead of a mode: `magcache`, or `magcache:threshold=0.1,longest=3` with settings other than
   * the published ones.
   */
  readonly policy?: string | undefined;
  /** Sampling steps; the model's unless given. In mode `fit`, those of the full run that it is compared with. */
  readonly steps?: number | undefined;
  /** Guidance scale that pictures will have; the model's unless given. */
  readonly guidance?: number | undefined;
  /** Share to reuse of each kind, 0 … 1, such as `{ step: 0.61, attn: 0.2 }`; only without a target. */
  readonly levels?: Readonly<Record<string, number>> | undefined;
  /** Least predicted speed-up: modes `guided`, `search` and `fit` look for the best plan that reaches it. */
  readonly targetSpeedup?: number | undefined;
  /** `fit`, instead of a speed-up: least mean PSNR in dB to the converged solution, on runs that were not fitted. */
  readonly targetPsnr?: number | undefined;
  /**
   * Seconds after which no further plan is measured. `guided` with a target: 300 unless given; `fit`: as long as its
   * trials take.
   */
  readonly timeBudget?: number | undefined;
  /** `search` and `fit`: most plans to measure; 200 unless given, in `fit` 60. */
  readonly trials?: number | undefined;
  /** Share of the steps, 0 … 1, that is never reused at the start; 0 unless given. */
  readonly warmup?: number | undefined;
  /** `guided`: oldest feature that may be loaded, in steps; any unless given. */
  readonly longest?: number | undefined;
  /** Called after each recorded step; `total` stays the same. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  /** Called with each plan that `guided` measured for a target. */
  readonly onTrial?: ((point: TradeOffPoint) => void) | undefined;
}

/** How to compare. */
export interface CompareOptions extends RecordedRuns {
  /** The plan; compared with the full run that it names as its reference, else of as many steps. */
  readonly plan: Plan;
  /** How often every picture is made each way; times are medians over the rounds. 1 unless given. */
  readonly rounds?: number | undefined;
  /** Whether to measure against the converged solution of the same noise as well, which takes hundreds of steps. */
  readonly truth?: boolean | undefined;
  /** Called after each step of every run. */
  readonly onProgress?: ((done: number) => void) | undefined;
}

/** A mode's name. */
export type ModeName = "guided" | "search" | "fit" | "reference";

/** A mode: its levels where none are given, and how a task becomes a plan that is bound to the model. */
interface Mode {
  readonly levels: Readonly<Record<string, number>>;
  readonly run: (task: CalibrationTask, options: CalibrateOptions) => Promise<Plan>;
}

/** Every mode: a new one is a name, a row here and files of its own. */
const MODES: Readonly<Record<ModeName, Mode>> = {
  guided: {
    levels: { step: 0.61, attn: 0 },
    run: (task, { targetSpeedup: speedup, timeBudget: seconds = 300, onTrial }) =>
      speedup === undefined
        ? calibrateGuided(task)
        : calibrateTradeOff({ ...task, speedup, seconds, onTrial }),
  },
  search: {
    levels: {},
    run: (task, { targetSpeedup: speedup, trials = 200 }) => {
      if (speedup !== undefined) return calibrateSearch({ ...task, speedup, trials });
      throw new TypeError("Cannot calibrate: mode search needs a targetSpeedup");
    },
  },
  fit: {
    levels: {},
    run: (task, { targetSpeedup, targetPsnr, trials = 60, timeBudget = Infinity }) => {
      const end = performance.now() + 1000 * timeBudget;
      const target = fitTarget(targetSpeedup, targetPsnr);
      return calibrateFit({ ...task, target, trials, hasTime: () => performance.now() < end });
    },
  },
  // The published slow mode of DiT; other models have its levels on kinds of their own.
  reference: { levels: { step: 0.61, attn: 0.2 }, run: calibrateReference },
};

/** Which modes take the options that not all take. */
export const TAKEN_BY: Readonly<Record<ModeOption, readonly ModeName[]>> = {
  levels: ["guided", "reference"],
  targetSpeedup: ["guided", "search", "fit"],
  targetPsnr: ["fit"],
  timeBudget: ["guided", "fit"],
  trials: ["search", "fit"],
  warmup: ["guided", "reference"],
  longest: ["guided"],
};

/** An option that not all modes take. */
export type ModeOption = Extract<
  keyof CalibrateOptions,
  "levels" | "targetSpeedup" | "targetPsnr" | "timeBudget" | "trials" | "warmup" | "longest"
>;

/** One of the two. */
function fitTarget(speedup: number | undefined, psnr: number | undefined): FitTask["target"] {
  if (speedup !== undefined && psnr === undefined) return { speedup };
  if (psnr !== undefined && speedup === undefined) return { psnr };
  throw new TypeError("Cannot calibrate: mode fit needs either a targetSpeedup or a targetPsnr");
}

/** Names of the modes. */
export const CALIBRATION_MODES: readonly ModeName[] = Object.keys(MODES) as ModeName[]; // no others

/**
 * Records a model and chooses what to reuse at which step.
 *
 * @returns A plan that is bound to the model.
 * @throws {RangeError | TypeError} When an option is out of range or none of the mode's, or no plan reaches
 * the target.
 * @throws {PlanError} When a feature is not finite, or the mode does not know the model's architecture.
 */
export async function calibrate(
  pipeline: Pipeline,
  options: CalibrateOptions = {},
): Promise<Plan> {
  const { policy, mode = "guided", levels, targetSpeedup, warmup = 0, longest } = options;
  checkMode(options);
  checkAmounts(options);
  const chosen = policy === undefined ? undefined : choosePolicy(policy, "calibrate");
  const engine = engineOf(pipeline);
  const { transformer } = engine.model;
  if (levels !== undefined && targetSpeedup === undefined) checkLevels(levels, transformer);
  const conditions = await conditionsOf(engine, options);
  const { labels, noise, given } = conditions;
  const { steps, guidance } = resolveRequest(engine.model, {
    ...given,
    steps: options.steps,
    guidance: options.guidance,
    labels,
    noise,
  });
  const { signal, onProgress } = options;
  const wanted = targetSpeedup === undefined ? MODES[mode].levels : {};
  const recorded = { pipeline: engine, steps, guidance, conditions, signal, onProgress };
  if (chosen !== undefined) return await calibratePolicy(recorded, chosen);
  const task = {
    ...{ ...recorded, warmup, longest },
    levels: levels ?? levelsLike(wanted, transformer),
  };
  return await MODES[mode].run(task, options);
}

/** Refuses what is no mode, and options that it, or a policy in its place, does not take. */
function checkMode({ mode, policy, ...options }: CalibrateOptions): void {
  if (policy !== undefined && mode !== undefined) {
    throw new TypeError("Cannot calibrate: mode must not be given together with a policy");
  }
  const asked = mode ?? "guided";
  if (!Object.hasOwn(MODES, asked)) {
    const known = CALIBRATION_MODES.join(", ");
    throw new TypeError(
      `Cannot calibrate: mode must be one of ${known}: current value is ${asked}`,
    );
  }
  for (const [name, modes] of Object.entries(TAKEN_BY)) {
    if (options[name as ModeOption] === undefined) continue; // its own keys
    if (policy === undefined && modes.includes(asked)) continue;
    const where = policy === undefined ? `in mode ${asked}` : `with policy ${policy}`;
    throw new TypeError(`Cannot calibrate: ${name} must not be given ${where}`);
  }
}

/** Refuses a search that could not begin. */
function checkAmounts({ trials = 1, timeBudget = 0 }: CalibrateOptions): void {
  const wrong = (what: string, wanted: string, given: number): RangeError =>
    new RangeError(`Cannot calibrate: ${what} must be ${wanted}: current value is ${given}`);
  if (!(Number.isInteger(trials) && trials >= 1)) {
    throw wrong("trials", "a whole number of at least 1", trials);
  }
  if (!(timeBudget >= 0)) throw wrong("timeBudget", "seconds, at least 0", timeBudget); // NaN too
}

/**
 * Makes the same pictures without and with a plan, in turn: seconds, PSNR, SSIM, memory.
 *
 * @throws {PlanError} When the plan does not fit the model.
 * @throws {RangeError} When an option is out of range.
 */
export async function compare(pipeline: Pipeline, options: CompareOptions): Promise<Comparison> {
  const { plan, rounds = 1, truth, signal, onProgress } = options;
  const engine = engineOf(pipeline);
  const conditions = await conditionsOf(engine, options);
  const about = truth ? { store: await openPlatformStore(() => {}) } : undefined; // a full browser store keeps less
  return await comparePlan({
    ...{ pipeline: engine, plan, conditions, rounds, truth: about, signal, onProgress },
  });
}

async function conditionsOf(
  engine: Engine,
  { conditions, runs = 16, seed = 42 }: RecordedRuns,
): Promise<RunConditions> {
  return conditions ?? await conditionsOfRuns(engine, { runs, seed });
}
