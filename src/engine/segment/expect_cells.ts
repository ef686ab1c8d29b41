/**
 * Refuses steps of a plan that a model or a backend cannot do.
 */

import type { Backend } from "../../backend/backend.ts";
import { PlanError } from "../../errors.ts";
import type { Transformer } from "../../model/module_graph.ts";
import { CELLS } from "../../plan/cells.ts";
import type { Step, TrunkStep } from "../../plan/compile.ts";

type ModelParts = Pick<Transformer, "modules" | "depthGroup">;

/**
 * Refuses what cannot be run, before anything is.
 *
 * @throws {PlanError} As {@linkcode expectPartial}; when blocks are left out of a model that was not trained for it, not in
 * whole groups, or before others that run.
 */
export function expectCells(
  steps: readonly Step[],
  model: ModelParts,
  backend: Pick<Backend, "name" | "gpu">,
): void {
  for (const step of steps) {
    if (!("actions" in step)) continue;
    expectPartial(step, model, backend);
    expectDepth(step, model);
  }
}

/** @throws {PlanError} When tokens of a module depend on each other, or steps do not wait for the host. */
export function expectPartial(
  { actions, index: step }: TrunkStep,
  { modules }: ModelParts,
  { name: on, gpu }: Pick<Backend, "name" | "gpu">,
): void {
  const index = actions.findIndex(({ kind }) => kind === "partial");
  if (index < 0) return;
  const { name, tokens } = modules[index]!; // a step is of this model
  if (tokens === undefined) {
    refuse(step, `module ${name} must be without "p", for its tokens depend on each other`, "p");
  }
  if (gpu === undefined) return;
  const reason = "where the host would have to choose tokens between steps";
  refuse(step, `module ${name} must be without "p" on ${on}, ${reason}`, "p");
}

function expectDepth(
  { actions, index: step }: TrunkStep,
  { modules, depthGroup: group }: ModelParts,
): void {
  const first = actions.findIndex(({ kind }) => kind === "skip");
  if (first < 0) return;
  const { name } = modules[first]!; // a step is of this model
  if (group === undefined) {
    const reason = "the model was not trained to do without: its config.json has no depth_group";
    refuse(step, `module ${name} must be without "-", for ${reason}`, "-");
  }
  if (first === 0 || first % group !== 0) {
    refuse(step, `module ${name} must be without "-", for no group of ${group} begins there`, "-");
  }
  const later = actions.findIndex(({ kind }, m) => m > first && kind !== "skip");
  if (later < 0) return;
  const { mark } = CELLS[actions[later]!.kind];
  refuse(step, `module ${modules[later]!.name} must be "-", for ${name} before it is`, mark);
}

function refuse(step: number, wanted: string, current: string): never {
  throw new PlanError(`Cannot use plan: step ${step}, ${wanted}: current value is "${current}"`);
}
