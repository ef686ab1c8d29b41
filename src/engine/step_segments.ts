/**
 * From a step of a plan to the parts and segments that run it.
 *
 * @module
 */

import type { Backend } from "../backend/backend.ts";
import type { FullStep, ReuseStep, Step } from "../plan/compile.ts";
import type { Part, Segment } from "./segment.ts";

/** A step that runs the embedding, all merges and the head. */
export type TrunkRunStep = Exclude<Step, ReuseStep>;

/** The first part of every trunk. */
export const EMBEDDING: Part = { kind: "embedding" };
/** The last part of every step. */
export const HEAD: Part = { kind: "head" };

/** The modules of a step: run or reused, stored or not. */
export function moduleParts(step: TrunkRunStep): readonly Part[] {
  return step.actions.map((action, index) => ({
    kind: "module",
    index,
    action: action.kind,
    store: action.kind === "run" && action.store,
  }));
}

/**
 * Cuts parts into segments: one part each where a session owns its weights, for a module may be in one
 * session only; all parts in one where weights are shared.
 */
export function cutSegments(parts: readonly Part[], weights: Backend["weights"]): Segment[] {
  return weights === "initializers" ? parts.map((part) => [part]) : [parts];
}

/** The steps of a run without a plan: everything runs, nothing is kept. */
export function fullSteps(steps: number, modules: number): readonly FullStep[] {
  const actions = Array.from({ length: modules }, () => ({ kind: "run", store: false } as const));
  const kept = { storeHidden: false, storeResidual: false };
  return Array.from({ length: steps }, (_, index) => (
    { kind: "full", index, slot: "joint", ...kept, actions }
  ));
}
