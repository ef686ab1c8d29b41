/**
 * Makes plans for a model and a run, binds them to further models, and checks them against both. Identity
 * must match; differing circumstances give a notice.
 */
import { PlanError } from "../errors.ts";
import { checkLoads } from "./liveness.ts";
import type { Plan, PlanCalibration, PlanContext, PlanPolicy } from "./plan.ts";
import type { Row } from "./row.ts";

/** What a plan needs to know of a model. */
export interface PlanModel {
  /** Family of models that the module names belong to. */
  readonly architecture: string;
  /** Names of all modules in execution order. */
  readonly modules: readonly string[];
  /** Fingerprint of configuration and weights. */
  readonly fingerprint: string;
}

/** The model and run that a plan is used for. */
export interface PlanTarget extends PlanModel, PlanContext {
  readonly sampler: string;
  /** Times at which the sampler calls the model, noisiest first. */
  readonly times: readonly number[];
  /** The times of this run on another token grid; absent where the sampler does not depend on it. */
  readonly timesOn?: ((tokenGrid: readonly number[]) => readonly number[]) | undefined;
}

export interface PlanOrigin {
  readonly policy: PlanPolicy;
  /** What the rule was given. */
  readonly calibration?: PlanCalibration;
  /** Makes it a plan of version 2. */
  readonly own?: OwnTimes;
}

/** What a plan has that owns its times. */
export interface OwnTimes
  extends Pick<Plan, "columns" | "tokenScore" | "reference">, Pick<PlanContext, "guidanceLossDb"> {
  /** Falling; of a flow, sigmas before they are shifted. */
  readonly times: readonly number[];
  /** Of a flow: the factor of their shift. */
  readonly shift?: number;
}

/**
 * Makes a plan for one call of the model in each step, bound to the target's model and made under its
 * circumstances.
 *
 * @param rows One for each time of the target, or for each of its own.
 * @throws {PlanError} When a step loads what no step before it has stored.
 */
export function makePlan(
  target: PlanTarget,
  rows: readonly Row[],
  { own, ...origin }: PlanOrigin,
): Plan {
  const { architecture, fingerprint, modules, sampler } = target;
  const { times, shift, columns, tokenScore, reference, guidanceLossDb }: OwnTimes = own ?? target;
  const { guidance, tokenGrid, precision } = target;
  const plan: Plan = {
    version: own === undefined ? 1 : 2,
    architecture,
    fingerprints: [fingerprint],
    modules,
    sampler: { name: sampler, times, ...(shift !== undefined && { shift }) },
    slots: ["joint"],
    rows: rows.map((row) => [row]),
    ...(columns !== undefined && { columns }),
    ...(tokenScore !== undefined && { tokenScore }),
    ...(reference !== undefined && { reference }),
    context: {
      ...(guidance !== undefined && { guidance }),
      ...(guidanceLossDb !== undefined && { guidanceLossDb }),
      ...(tokenGrid !== undefined && { tokenGrid }),
      ...(precision !== undefined && { precision }),
    },
    ...origin,
  };
  checkLoads(plan, "make plan");
  return plan;
}

/** Times may differ by this ratio: fractional times come from float32 arithmetic elsewhere. */
const TIME_TOLERANCE = 1e-5;
const ONE_SLOT = "one, for no model here is called more than once in a step";

/**
 * Checks that a plan may run for this model and sampler.
 *
 * A sampler may shift its times by the token grid. Then they may also agree as they are on the grid of
 * the plan: the schedule before the shift is the same, and the shift is a circumstance, unless the plan weighs
 * outputs by step, for weights hold at the times that they were fitted for.
 *
 * @returns One sentence for each recorded circumstance (guidance, token grid with its times,
 * precision) that is known on both sides and differs; empty when all agree.
 * @throws {PlanError} When the plan is unbound, or architecture, modules, fingerprint, sampler,
 * steps or times are not those of the target, or it has more than one slot.
 */
export function checkPlanFits(plan: Plan, target: PlanTarget): readonly string[] {
  checkModel(plan, target, "use");
  if (plan.fingerprints.length === 0) {
    throw new PlanError(
      'Cannot use plan: it must be bound to a model with "plan bind": current value is unbound',
    );
  }
  if (!plan.fingerprints.includes(target.fingerprint)) {
    misfit("use", "fingerprint", plan.fingerprints.join(" or "), target.fingerprint);
  }
  if (!hasOneSlot(plan)) misfit("use", "slots", ONE_SLOT, plan.slots.join(", "));
  checkSampler(plan, target);
  return [...contextNotices(plan.context, target), ...timeNotices(plan, target)];
}

/** Whether a plan is for one call of the model in each step, the only kind that anything here runs. */
export function hasOneSlot({ slots }: Pick<Plan, "slots">): boolean {
  return slots.length === 1;
}

/**
 * Binds a plan to a further model: returns a copy that also has the model's fingerprint.
 *
 * @throws {PlanError} When the model's architecture or modules are not those of the plan.
 */
export function bindPlan(plan: Plan, model: PlanModel): Plan {
  checkModel(plan, model, "bind");
  const fingerprints = [...new Set([...plan.fingerprints, model.fingerprint])];
  return { ...plan, fingerprints };
}

function checkModel(plan: Plan, model: PlanModel, verb: string): void {
  if (model.architecture !== plan.architecture) {
    misfit(verb, "architecture", plan.architecture, model.architecture);
  }
  if (model.modules.length !== plan.modules.length) {
    misfit(verb, "count of modules", plan.modules.length, model.modules.length);
  }
  plan.modules.forEach((name, m) => {
    if (model.modules[m] !== name) misfit(verb, `module ${m}`, name, model.modules[m]);
  });
}

function checkSampler(plan: Plan, target: PlanTarget): void {
  const { name } = plan.sampler;
  if (target.sampler !== name) misfit("use", "sampler", name, target.sampler);
  const times = visitedTimes(plan);
  if (target.times.length !== times.length) {
    misfit("use", "steps", times.length, target.times.length);
  }
  const step = differentStep(times, target.times);
  if (step === undefined || mayShift(plan, target)) return;
  misfit("use", `time of step ${step}`, times[step], target.times[step]);
}

/** The times at which the model was called when the plan was made. */
function visitedTimes({ sampler: { times, shift = 1 } }: Plan): readonly number[] {
  return times.map((time) => shift === 1 ? time : shift * time / (1 + (shift - 1) * time));
}

/** Whether a plan holds at times that only a shift has moved; weights hold where they were fitted. */
function mayShift(plan: Plan, target: PlanTarget): boolean {
  if (plan.version === 2) return plan.columns === undefined && plan.sampler.shift !== undefined;
  const shifted = plan.context.tokenGrid && target.timesOn?.(plan.context.tokenGrid);
  return shifted !== undefined && differentStep(plan.sampler.times, shifted) === undefined;
}

/** The first step whose times differ. */
function differentStep(made: readonly number[], given: readonly number[]): number | undefined {
  const agree = (a: number, b: number): boolean => Math.abs(b - a) <= TIME_TOLERANCE * a;
  const step = made.findIndex((time, i) => !agree(time, given[i]!));
  return step < 0 ? undefined : step;
}

/** Times that a shift has moved, where all else was found to agree. */
function timeNotices(plan: Plan, target: PlanTarget): readonly string[] {
  const times = visitedTimes(plan);
  const step = differentStep(times, target.times);
  if (step === undefined) return [];
  return [madeFor(`time ${times[step]} at step ${step}`, target.times[step])];
}

function contextNotices(recorded: PlanContext, target: PlanContext): readonly string[] {
  const loss = guidanceLoss(recorded, target.guidance);
  const pairs = [
    ...(loss === undefined ? [["guidance", recorded.guidance, target.guidance] as const] : []),
    ["token grid", recorded.tokenGrid?.join("×"), target.tokenGrid?.join("×")],
    ["precision", recorded.precision, target.precision],
  ] as const;
  return pairs
    .filter(([, made, given]) => made !== undefined && given !== undefined && made !== given)
    .map(([what, made, given]) => madeFor(`${what} ${made}`, given))
    .concat(loss ?? []);
}

/** A plan holds at scales where it loses at most this. */
const HOLDS_DB = 1;

/** Sentences on a scale other than the recorded one, as far as others were measured: none where the plan holds. */
function guidanceLoss(
  { guidance: made, guidanceLossDb: measured = [] }: PlanContext,
  given: number | undefined,
): readonly string[] | undefined {
  if (made === undefined || given === undefined || measured.length === 0) return undefined;
  const known = [...measured, [made, 0] as const].toSorted(([a], [b]) => a - b);
  const above = known.findIndex(([scale]) => scale >= given);
  const [high, highLoss] = known.at(above)!; // the last where it is above all
  const [low, lowLoss] = known[above - 1] ?? [high, highLoss];
  const share = above < 1 || high === low ? 1 : (given - low) / (high - low);
  const loss = lowLoss + share * (highLoss - lowLoss);
  const isBeyond = above < 0 || (above === 0 && given < high);
  if (loss <= HOLDS_DB && !isBeyond) return [];
  return [
    `${madeFor(`guidance ${made}`, given)} Expect ${isBeyond ? "more than " : "about "}` +
    `${Math.max(0, loss).toFixed(1)} dB more distance to the converged solution.`,
  ];
}

function madeFor(made: string, given: unknown): string {
  return `The plan was made for ${made}; this run has ${given}.`;
}

function misfit(verb: string, what: string, wanted: unknown, given: unknown): never {
  throw new PlanError(
    `Cannot ${verb} plan: ${what} must be ${wanted}: current value is ${given}`,
  );
}
