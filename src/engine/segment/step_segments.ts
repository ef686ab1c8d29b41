/**
 * Turns a step of a plan into the parts and segments that run it.
 */

import type { Backend } from "../../backend/backend.ts";
import { makes } from "../../plan/cells.ts";
import { type ModuleAction, stores, type TrunkStep } from "../../plan/compile.ts";
import { LATENT, type Part, type Segment } from "./segment.ts";
import type { Transformer } from "../../model/module_graph.ts";
import type { Values } from "../device_values.ts";

/** The first part of every trunk. */
export const EMBEDDING: Part = { kind: "embedding" };
/** The last part of every step. */
export const HEAD: Part = { kind: "head" };

/** What the modules of a step do beside what its plan says. */
export interface PartOptions {
  /** The model, where what lies between the halves of its branches is an output, too. */
  readonly probed?: Transformer | undefined;
  /** Modules that compute tokens that were chosen. */
  readonly chosen?: { readonly has: (index: number) => boolean };
  /** Attentions that say what their tokens are attended to. */
  readonly asked?: ReadonlySet<number>;
}

/** The modules of a step but those that it leaves out: run or reused, stored or not. */
export function moduleParts(
  step: TrunkStep,
  { probed, chosen = NONE, asked = NONE }: PartOptions = {},
): readonly Part[] {
  return step.actions.flatMap((action, index) => {
    if (action.kind === "skip") return [];
    const kind = chosen.has(index) ? "partial" : action.kind === "partial" ? "reuse" : action.kind;
    return {
      kind: "module" as const,
      index,
      action: kind,
      store: stores({ ...action, kind }),
      ...(action.weights !== undefined && { weights: action.weights }),
      ...(probed?.modules[index]?.halves !== undefined && { probe: true }),
      ...(kind === "run" && asked.has(index) && { attended: true }),
    };
  });
}

const NONE: ReadonlySet<number> = new Set();

/** The parts of a step that keeps no state, first to last. */
export function stepParts(step: TrunkStep): readonly Part[] {
  return [EMBEDDING, ...moduleParts(step), HEAD];
}

/**
 * Cuts parts into segments: all parts in one where weights are shared. Where a session owns its weights
 * each part is alone, for a module may be in one session only; but neighbours that are reused have no
 * weights, and merge their features in one graph.
 */
export function cutSegments(parts: readonly Part[], weights: Backend["weights"]): Segment[] {
  if (weights === "inputs") return [parts];
  const segments: Part[][] = [];
  for (const part of parts) {
    const last = segments.at(-1);
    if (last !== undefined && isReused(part) && isReused(last.at(-1))) last.push(part);
    else segments.push([part]);
  }
  return segments;
}

function isReused(part: Part | undefined): boolean {
  return part?.kind === "module" && !makes(part.action);
}

/** A step of these actions that keeps no state. */
export function trunkStep(actions: readonly ModuleAction[], index = 0): TrunkStep {
  const kind = actions.every((action) => action.kind === "run") ? "full" : "mixed";
  return { kind, index, slot: "joint", storeHidden: false, storeResidual: false, actions };
}

/** A step that does the same with all of so many modules. */
export function evenStep(action: ModuleAction, modules: number, index = 0): TrunkStep {
  return trunkStep(Array.from({ length: modules }, () => action), index);
}

/** A step in which everything runs and nothing is kept. */
export function fullStep(modules: number, index = 0): TrunkStep {
  return evenStep({ kind: "run", keep: 0 }, modules, index);
}

/** The steps of a run without a plan. */
export function fullSteps(steps: number, modules: number): readonly TrunkStep[] {
  return Array.from({ length: steps }, (_, index) => fullStep(modules, index));
}

/** Streams as a graph's inputs are named. */
export function asInputs(streams: Values): Values {
  return Object.fromEntries(
    Object.entries(streams).map(([name, value]) => [
      name === LATENT ? name : `${name}.in`,
      value,
    ]),
  );
}
