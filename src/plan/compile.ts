/**
 * Compiles a plan into the steps that an executor follows: what runs, what is loaded, what is
 * stored because a later step loads it, and what is dropped after its last load.
 *
 * @module
 */
import { PlanError } from "../errors.ts";
import { type Lifetime, lifetime, type Use } from "./liveness.ts";
import type { Plan } from "./plan.ts";
import { readRow, type Row, writeRow } from "./row.ts";

/** What a step does with one module. The merge into the residual stream always runs. */
export type ModuleAction = RunAction | ReuseAction;

/** Runs the branch of a module. */
export interface RunAction {
  /** Always `"run"`. */
  readonly kind: "run";
  /** Keep the feature: a later step loads it. */
  readonly store: boolean;
}

/** Loads the kept feature of a module instead of running its branch. */
export interface ReuseAction {
  /** Always `"reuse"`. */
  readonly kind: "reuse";
  /** Drop the kept feature after this step: no later step loads it. */
  readonly drop: boolean;
}

/** One call of the model, by what it reuses. */
export type Step = ReuseStep | FullStep | MixedStep;

/** What a step may do: run nothing but the head, run everything, or reuse some modules. */
export type StepKind = "reuse" | "full" | "mixed";

/** Where a step stands. */
export interface StepPosition {
  /** Step of the sampler, 0 = noisiest. */
  readonly index: number;
  /** Name of the model call within the step. */
  readonly slot: string;
}

/** Runs no module: only the head on a kept state, with fresh conditioning. */
export interface ReuseStep extends StepPosition {
  /** Always `"reuse"`. */
  readonly kind: "reuse";
  /** `hidden`: the kept hidden state as it is; `residual`: the fresh embedding + the kept residual. */
  readonly load: "hidden" | "residual";
  /** Drop what was loaded after this step. */
  readonly drop: boolean;
}

/** What steps that run the trunk have in common. */
export interface TrunkStep extends StepPosition {
  /** Keep the hidden state (trunk output): a later step loads it. */
  readonly storeHidden: boolean;
  /** Keep the trunk residual (trunk output − embedding): a later step loads it. */
  readonly storeResidual: boolean;
}

/** Runs every module. */
export interface FullStep extends TrunkStep {
  /** Always `"full"`. */
  readonly kind: "full";
  /** One action per module, in execution order. */
  readonly actions: readonly RunAction[];
}

/** Reuses at least one module (perhaps all); the embedding and every merge run. */
export interface MixedStep extends TrunkStep {
  /** Always `"mixed"`. */
  readonly kind: "mixed";
  /** One action per module, in execution order. */
  readonly actions: readonly ModuleAction[];
}

/** A plan that is proven to load only what was stored before. */
export interface CompiledPlan {
  /** The plan it was compiled from. */
  readonly plan: Plan;
  /**
   * One entry per model call, in call order: all slots of step 0, then of step 1, … With one slot,
   * `steps[i]` is step `i`. Each slot has its own kept results; nothing is kept after the last step.
   */
  readonly steps: readonly Step[];
  /** Largest age, in steps, of anything that is loaded. */
  readonly maxStaleness: number;
}

/**
 * Compiles a plan.
 *
 * Kept states come from the last step that ran the trunk: `=` and `+` leave them, and the features
 * of modules, as they are. A later `r` may therefore load a feature from before a reused step.
 *
 * @throws {PlanError} When the first step of a slot does not run every module (then, and only then,
 * a step could load what was never stored), or a row does not fit the modules.
 */
export function compilePlan(plan: Plan): CompiledPlan {
  const perSlot = plan.slots.map((slot, s) => compileSlot(plan, slot, s));
  return {
    plan,
    steps: plan.rows.flatMap((_, step) => perSlot.map(({ steps }) => steps[step]!)),
    maxStaleness: Math.max(...perSlot.map(({ maxStaleness }) => maxStaleness)),
  };
}

/** Lifetimes of everything that one slot may keep. */
interface Lifetimes {
  readonly hidden: Lifetime;
  readonly residual: Lifetime;
  readonly modules: readonly Lifetime[];
}

function compileSlot(
  plan: Plan,
  slot: string,
  s: number,
): { readonly steps: readonly Step[]; readonly maxStaleness: number } {
  const rows = plan.rows.map((row, step) =>
    readRow(row[s]!, plan.modules, `step ${step} (slot ${slot})`)
  );
  checkFirst(rows[0]!, plan.modules, slot);
  const lives: Lifetimes = {
    hidden: lifetime(rows.map((row) => useOfState(row, "hidden"))),
    residual: lifetime(rows.map((row) => useOfState(row, "residual"))),
    modules: plan.modules.map((_, m) => lifetime(rows.map((row) => useOfModule(row, m)))),
  };
  return {
    steps: rows.map((row, index) => compileRow(row, { index, slot }, lives)),
    maxStaleness: [lives.hidden, lives.residual, ...lives.modules]
      .reduce((oldest, { staleness }) => Math.max(oldest, staleness), 0),
  };
}

function useOfState(row: Row, state: "hidden" | "residual"): Use {
  if (row.kind === "modules") return "make";
  return row.kind === state ? "load" : "none";
}

function useOfModule(row: Row, m: number): Use {
  if (row.kind !== "modules") return "none";
  return row.reuse[m] ? "load" : "make";
}

/** A first step that runs every module makes whatever any later step may load. */
function checkFirst(row: Row, modules: readonly string[], slot: string): void {
  const reused = row.kind === "modules"
    ? modules.filter((_, m) => row.reuse[m]).map((name) => `module ${name}`)[0]
    : { hidden: "hidden state", residual: "trunk residual" }[row.kind];
  if (reused === undefined) return;
  throw new PlanError(
    `Cannot compile plan: step 0 (slot ${slot}), ${reused} must be computed, for nothing is ` +
      `stored before the first step: current value is "${writeRow(row)}"`,
  );
}

function compileRow(row: Row, at: StepPosition, lives: Lifetimes): Step {
  if (row.kind !== "modules") {
    return { kind: "reuse", ...at, load: row.kind, drop: !lives[row.kind].keptAfter[at.index]! };
  }
  const states = {
    storeHidden: lives.hidden.keptAfter[at.index]!,
    storeResidual: lives.residual.keptAfter[at.index]!,
  };
  const kept = lives.modules.map(({ keptAfter }) => keptAfter[at.index]!);
  if (row.reuse.includes(true)) {
    const actions = kept.map((keep, m): ModuleAction =>
      row.reuse[m] ? { kind: "reuse", drop: !keep } : { kind: "run", store: keep }
    );
    return { kind: "mixed", ...at, ...states, actions };
  }
  return { kind: "full", ...at, ...states, actions: kept.map((store) => ({ kind: "run", store })) };
}
