/**
 * What a compiled plan costs, before anything runs: multiply-accumulates and bytes.
 *
 * @module
 */
import { PlanError } from "../errors.ts";
import type { CompiledPlan, Step } from "./compile.ts";

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
  /** Hidden state. */
  readonly hidden: number;
  /** Trunk residual. */
  readonly residual: number;
}

/**
 * How many times less work than full steps only: `T × full / Σ run`, head and merges included.
 *
 * @throws {PlanError} When the cost is for another number of modules.
 */
export function predictSpeedup(compiled: CompiledPlan, cost: ModelCost): number {
  checkCount(compiled, cost.modules.length);
  const full = trunkMacs(cost, cost.modules.map(() => true));
  const planned = sum(compiled.steps.map((step) => stepMacs(step, cost)));
  return compiled.steps.length * full / planned;
}

/** MACs of one step: head; unless it reuses the hidden state the embedding; merges; run branches. */
export function stepMacs(step: Step, cost: ModelCost): number {
  if (step.kind !== "reuse") return trunkMacs(cost, step.actions.map(({ kind }) => kind === "run"));
  return step.load === "hidden" ? cost.head : cost.embed + cost.head;
}

/** MACs of a step with this row of a plan: what {@linkcode stepMacs} says of it compiled. */
export function rowMacs(row: string, cost: ModelCost): number {
  if (row === "=") return cost.head;
  if (row === "+") return cost.embed + cost.head;
  return trunkMacs(cost, Array.from(row, (mark) => mark === "."));
}

/**
 * Largest sum of bytes that is kept at any moment.
 *
 * A step stores what it stores while everything it loads is still kept, and drops at its end: so
 * the peak does not depend on how a backend cuts a step into calls.
 *
 * @throws {PlanError} When the sizes are for another number of modules.
 */
export function peakLiveBytes(
  compiled: Pick<CompiledPlan, "plan" | "steps">,
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

function storedBytes(step: Step, sizes: FeatureSizes): number {
  if (step.kind === "reuse") return 0;
  return (step.storeHidden ? sizes.hidden : 0) + (step.storeResidual ? sizes.residual : 0) +
    sum(step.actions.map((act, m) => act.kind === "run" && act.store ? sizes.modules[m]! : 0));
}

function droppedBytes(step: Step, sizes: FeatureSizes): number {
  if (step.kind === "reuse") return step.drop ? sizes[step.load] : 0;
  return sum(
    step.actions.map((act, m) => act.kind === "reuse" && act.drop ? sizes.modules[m]! : 0),
  );
}

function trunkMacs(cost: ModelCost, runs: readonly boolean[]): number {
  const modules = cost.modules.map(({ branch, merge }, m) => merge + (runs[m] ? branch : 0));
  return cost.embed + sum(modules) + cost.head;
}

function checkCount(compiled: Pick<CompiledPlan, "plan">, count: number): void {
  const wanted = compiled.plan.modules.length;
  if (count === wanted) return;
  throw new PlanError(`Cannot price plan: modules must be ${wanted}: current value is ${count}`);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
