/**
 * What a compiled plan costs, before anything runs: multiply-accumulates and bytes.
 */
import { PlanError } from "../errors.ts";
import { branchShare, type Cell, CELLS, loadsOf, makes, type State, STATES } from "./cells.ts";
import { type CompiledPlan, type Step, stores } from "./compile.ts";
import type { PlanRows } from "./plan.ts";
import type { StepWeights } from "./columns.ts";
import { cellShares, type Row } from "./row.ts";

/** Multiply-accumulates (MACs) of one model call; conditioning is computed ahead, so not included. */
export interface ModelCost {
  /** Embedding of the latent (and of text tokens, where each step embeds them). */
  readonly embed: number;
  /** Final layer, run on every step. */
  readonly head: number;
  /** One entry per module, in execution order. */
  readonly modules: readonly ModuleCost[];
}

/** MACs of one module. */
export interface ModuleCost {
  /** The part that a reused module leaves out. */
  readonly branch: number;
  /** The part that always runs when the trunk runs: gate, sum, projections that are not skipped. */
  readonly merge: number;
}

/** Bytes of what one model call may keep, for the model and batch that will run. */
export interface FeatureSizes {
  /** Feature of each module, in execution order. */
  readonly modules: readonly number[];
  readonly hidden: number;
  readonly residual: number;
}

/**
 * Work of the plan's reference ÷ work of the plan: `T × full / Σ run`, head and merges included. A plan that names
 * no reference is compared with as many full steps as it has.
 *
 * @throws {PlanError} When the cost is for another number of modules.
 */
export function predictSpeedup(compiled: CompiledPlan<PlanRows>, cost: ModelCost): number {
  checkCount(compiled, cost.modules.length);
  const full = trunkMacs(cost.modules.map(() => ({ kind: "run" })), cost);
  const planned = sum(compiled.steps.map((step) => stepMacs(step, cost)));
  const steps = compiled.plan.reference?.steps ?? compiled.steps.length;
  return steps * full / planned;
}

/** MACs of one step: head, embedding (unless it reuses the hidden state), merges of all modules that are not left out, branches as far as they run. */
export function stepMacs(step: Step, cost: ModelCost): number {
  if (step.kind === "forecast") return 0;
  if (step.kind === "reuse") return stateMacs(step.load, cost);
  return trunkMacs(step.actions, cost);
}

/** MACs of a step with this row of a plan, as {@linkcode stepMacs} of the compiled step. @param shares Of its partial cells. */
export function rowMacs(row: Row, cost: ModelCost, shares: StepWeights = null): number {
  if (row.kind === "forecast") return 0;
  if (row.kind === "state") return stateMacs(row.state, cost);
  const parts = cellShares(row, shares);
  return trunkMacs(row.cells.map((kind, m) => ({ kind, share: parts[m] })), cost);
}

/**
 * The most bytes that are kept at any moment.
 *
 * A step stores its results while everything it loads is still kept, and drops at its end, so the peak
 * does not depend on how a backend cuts a step into calls.
 *
 * @throws {PlanError} When the sizes are for another number of modules.
 */
export function peakLiveBytes(
  compiled: Pick<CompiledPlan<PlanRows>, "plan" | "steps">,
  sizes: FeatureSizes,
): number {
  checkCount(compiled, sizes.modules.length);
  let live = 0;
  let peak = 0;
  for (const step of compiled.steps) {
    live += storedBytes(step, sizes);
    peak = Math.max(peak, live);
    live -= droppedBytes(step, sizes);
  }
  return peak;
}

/**
 * Bytes of all that is ever kept, where a result has a place of its own for the whole run: of a module as many as it ever
 * has at once, in which later ones take the place of earlier ones.
 *
 * @throws {PlanError} When the sizes are for another number of modules.
 */
export function placedBytes(
  { plan, steps }: Pick<CompiledPlan<PlanRows>, "plan" | "steps">,
  sizes: FeatureSizes,
): number {
  checkCount({ plan }, sizes.modules.length);
  const trunks = steps.flatMap((step) => ("actions" in step ? [step] : []));
  const modules = sizes.modules.map((size, m) =>
    size * Math.max(0, ...trunks.map(({ actions }) => actions[m]!.keep)) // one for each module
  );
  const hidden = trunks.some(({ storeHidden }) => storeHidden) ? sizes.hidden : 0;
  const residual = trunks.some(({ storeResidual }) => storeResidual) ? sizes.residual : 0;
  return sum(modules) + hidden + residual;
}

function storedBytes(step: Step, sizes: FeatureSizes): number {
  if (step.kind === "reuse" || step.kind === "forecast") return 0;
  return (step.storeHidden ? sizes.hidden : 0) + (step.storeResidual ? sizes.residual : 0) +
    sum(step.actions.map((action, m) => stores(action) ? sizes.modules[m]! : 0));
}

function droppedBytes(step: Step, sizes: FeatureSizes): number {
  if (step.kind === "forecast") return 0;
  if (step.kind === "reuse") return step.drop ? sizes[step.load] : 0;
  return sum(
    step.actions.map((action, m) => {
      const { kind, keep, weights } = action;
      const before = Math.max(loadsOf(kind, weights), keep - (makes(kind) ? 1 : 0)); // no more than is needed
      return (before + (stores(action) ? 1 : 0) - keep) * sizes.modules[m]!; // one for each module
    }),
  );
}

function stateMacs(state: State, { embed, head }: ModelCost): number {
  return STATES[state].embeds * embed + head;
}

/** @param cells One for each module. */
function trunkMacs(
  cells: readonly { readonly kind: Cell; readonly share?: number | undefined }[],
  { embed, modules, head }: ModelCost,
): number {
  const branches = modules.map(({ branch, merge }, m) => {
    const { kind, share } = cells[m]!; // as many
    return CELLS[kind].merges * merge + branchShare(kind, share) * branch;
  });
  return embed + sum(branches) + head;
}

function checkCount(compiled: Pick<CompiledPlan<PlanRows>, "plan">, count: number): void {
  const wanted = compiled.plan.modules.length;
  if (count === wanted) return;
  throw new PlanError(`Cannot price plan: modules must be ${wanted}: current value is ${count}`);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
