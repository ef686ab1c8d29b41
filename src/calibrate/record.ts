/**
 * Records what calibration needs: full steps whose features and hidden states are copied to the host.
 *
 * Only the current step's features are held; a caller that compares them with earlier ones keeps those: one
 * for each trajectory is enough, so at most two features of a module are held at a time.
 */

import { FeatureCache } from "../engine/feature_cache.ts";
import { runSteps, type StepReport } from "../engine/run.ts";
import { evenStep } from "../engine/segment/step_segments.ts";
import { takeDown } from "../engine/device_values.ts";
import type { Transformer } from "../model/module_graph.ts";
import { PlanError } from "../errors.ts";
import { type CalibrationTask, requestOf } from "./task.ts";

/** A series of features, one for each step. */
export interface Trajectory {
  /** `step` for the hidden state, else the kind of module: `attn`, `mlp`, … */
  readonly kind: string;
  /** Counts the trajectories of a kind: the block. */
  readonly column: number;
  /** Name of the module; `hidden` for the hidden state. */
  readonly name: string;
}

/** A step with what it computed. */
export interface RecordedStep extends StepReport {
  /** One for each trajectory, in the order of {@link trajectoriesOf}; the parts of a joint one. */
  readonly features: readonly Feature[];
}

/** What a module computes at one step: one tensor, or one a stream for joint attention. */
export type Feature = readonly Float32Array[];

/** What is recorded of a model: the hidden state first, then its modules in execution order. */
export function trajectoriesOf({ modules }: Transformer): readonly Trajectory[] {
  const columns = new Map<string, number>();
  const ofModules = modules.map((module) => {
    const kind = module.kinds[0]!; // a module has a feature
    return { kind, column: nextColumn(columns, kind), name: module.name };
  });
  return [{ kind: "step", column: 0, name: "hidden" }, ...ofModules];
}

/** As {@link trajectoriesOf}, but one for each part of a joint feature, as published calibrations have it. */
export function partTrajectoriesOf({ modules }: Transformer): readonly Trajectory[] {
  const columns = new Map<string, number>();
  const ofParts = modules.flatMap((module) =>
    module.kinds.map((kind) => ({ kind, column: nextColumn(columns, kind), name: module.name }))
  );
  return [{ kind: "step", column: 0, name: "hidden" }, ...ofParts];
}

function nextColumn(columns: Map<string, number>, kind: string): number {
  const column = columns.get(kind) ?? 0;
  columns.set(kind, column + 1);
  return column;
}

/**
 * Runs every step in full and yields it with its features; leaving the loop early frees everything.
 *
 * @param options With `probe`, what lies between the halves of a branch is recorded, as published calibrations do.
 * @throws {PlanError} When a feature is not finite; names step and module.
 * @throws {RangeError} When an option is out of range.
 */
export async function* recordSteps(
  task: Pick<CalibrationTask, "pipeline" | "conditions" | "steps" | "guidance" | "signal">,
  { probe = false }: { readonly probe?: boolean } = {},
): AsyncGenerator<RecordedStep, void, undefined> {
  const { pipeline: { model, executor, backend }, signal } = task;
  const request = requestOf(task);
  const features = new FeatureCache();
  const { length } = model.transformer.modules;
  const keepAll = { ...evenStep({ kind: "run", keep: 1 }, length), storeHidden: true };
  const steps = Array.from({ length: request.steps }, (_, index) => ({ ...keepAll, index }));
  const trajectories = trajectoriesOf(model.transformer);
  const run = { model, executor, request, steps, features, signal, probe };
  for await (const report of runSteps(run)) {
    const { slot } = steps[report.index]!;
    const taken: Feature[] = [];
    for (const { name } of trajectories) {
      const parts: Float32Array[] = [];
      const kept = `${slot} ${name}`; // as the executor names what it keeps
      const inner = features.take(`${kept} inner`);
      for (const value of inner.length > 0 ? inner : features.take(kept)) {
        parts.push((await takeDown(backend, value)).data);
      }
      checkFinite(parts, name, report.index);
      taken.push(parts);
    }
    yield { ...report, features: taken };
  }
}

function checkFinite(feature: Feature, name: string, step: number): void {
  if (feature.length === 0) throw new Error(`Internal error: ${name} was not stored`);
  const wrong = feature.map((part) => part.find((value) => !Number.isFinite(value)))
    .find((value) => value !== undefined);
  if (wrong === undefined) return;
  throw new PlanError(
    `Cannot calibrate: feature of ${name} at step ${step} must be finite: current value is ${wrong}`,
  );
}
