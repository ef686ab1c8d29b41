/**
 * Compiles a plan into the steps that an executor follows: what runs, what is loaded, what is
 * stored because a later step loads it, and what is dropped after its last load.
 */
import { type Cell, makes, type State } from "./cells.ts";
import { BY_AGE, type TokenScore } from "./columns.ts";
import { type Lifetime, lifetime, usesOfModule, usesOfModules, usesOfState } from "./liveness.ts";
import type { Plan, PlanRows } from "./plan.ts";
import { cellShares, cellWeights, isFull, type Row } from "./row.ts";

/** What a step does with one module. The merge into the residual stream runs unless it is left out. */
export interface ModuleAction {
  /** Runs the branch, makes the feature from kept ones, or does neither. */
  readonly kind: Cell;
  /** How many of the module's latest features to keep after this step: those that a later one loads. */
  readonly keep: number;
  /** Of a forecast: what its kept features count for, the latest first. */
  readonly weights?: readonly number[];
  /** Of a partial cell: the share of its tokens that it computes. */
  readonly share?: number;
  /** How its tokens are chosen, where this step or another computes some of them. */
  readonly score?: TokenScore;
}

/** Whether the module makes a feature that is kept. */
export function stores({ kind, keep }: ModuleAction): boolean {
  return keep > 0 && makes(kind);
}

/** One step, by what it reuses. */
export type Step = CallStep | ForecastStep;

/** A step that calls the model. */
export type CallStep = ReuseStep | TrunkStep;

/** What a step may do: run nothing but the head, run everything, reuse some modules, or call no model. */
export type StepKind = "reuse" | "full" | "mixed" | "forecast";

export interface StepPosition {
  /** Step of the sampler, 0 = noisiest. */
  readonly index: number;
  /** Name of the model call within the step. */
  readonly slot: string;
}

/** Runs no module: only the head on a kept state, with fresh conditioning. */
export interface ReuseStep extends StepPosition {
  readonly kind: "reuse";
  /** `hidden`: the kept hidden state as it is; `residual`: the fresh embedding + the kept residual. */
  readonly load: State;
  /** Drop what was loaded after this step. */
  readonly drop: boolean;
}

/** Runs nothing: the sampler makes the output of earlier ones. Nothing is kept, loaded or dropped. */
export interface ForecastStep extends StepPosition {
  readonly kind: "forecast";
}

/** Runs the embedding, the head, and modules; merges all that are not left out. */
export interface TrunkStep extends StepPosition {
  /** `full` runs every module; `mixed` some or none. */
  readonly kind: "full" | "mixed";
  /** Keep the hidden state (trunk output): a later step loads it. */
  readonly storeHidden: boolean;
  /** Keep the trunk residual (trunk output − embedding): a later step loads it. */
  readonly storeResidual: boolean;
  /** One action per module, in execution order. */
  readonly actions: readonly ModuleAction[];
}

/** A plan as steps that load only what was stored before. */
export interface CompiledPlan<P extends PlanRows = Plan> {
  /** The plan it was compiled from. */
  readonly plan: P;
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
 */
export function compilePlan<P extends PlanRows>(plan: P): CompiledPlan<P> {
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
  /** By module: whether some row computes a part of its tokens. */
  readonly partial: readonly boolean[];
}

function compileSlot(
  plan: PlanRows,
  slot: string,
  s: number,
): { readonly steps: readonly Step[]; readonly maxStaleness: number } {
  const rows = plan.rows.map((row) => row[s]!); // a row for each slot
  const uses = usesOfModules(rows, plan.columns?.features);
  const lives: Lifetimes = {
    hidden: lifetime(usesOfState(rows, "hidden")),
    residual: lifetime(usesOfState(rows, "residual")),
    modules: plan.modules.map((_, m) => lifetime(usesOfModule(uses, m))),
    partial: plan.modules.map((_, m) =>
      rows.some((row) => row.kind === "modules" && row.cells[m] === "partial")
    ),
  };
  return {
    steps: rows.map((row, index) => compileRow(row, { index, slot }, { lives, plan })),
    maxStaleness: [lives.hidden, lives.residual, ...lives.modules]
      .reduce((oldest, { staleness }) => Math.max(oldest, staleness), 0),
  };
}

function compileRow(
  row: Row,
  at: StepPosition,
  { lives, plan }: { readonly lives: Lifetimes; readonly plan: PlanRows },
): Step {
  const keepsState = (state: State): boolean => lives[state].keptAfter[at.index]! > 0;
  if (row.kind === "forecast") return { kind: "forecast", ...at };
  if (row.kind === "state") {
    return { kind: "reuse", ...at, load: row.state, drop: !keepsState(row.state) };
  }
  const { columns, tokenScore: score = BY_AGE } = plan;
  const weights = cellWeights(row, columns?.features?.[at.index]);
  const shares = cellShares(row, columns?.shares?.[at.index]);
  return {
    kind: isFull(row) ? "full" : "mixed",
    ...at,
    storeHidden: keepsState("hidden"),
    storeResidual: keepsState("residual"),
    actions: row.cells.map((kind, m) => ({
      kind,
      keep: lives.modules[m]!.keptAfter[at.index]!,
      ...(weights[m] !== undefined && { weights: weights[m] }),
      ...(shares[m] !== undefined && { share: shares[m] }),
      ...(lives.partial[m] && { score }),
    })),
  };
}
