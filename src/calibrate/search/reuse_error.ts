/**
 * What it costs in accuracy to reuse the features of one step at a later one: measured, not guessed.
 *
 * Two measurements on the full trajectory. *Local*: the error of the predicted noise at step j when all
 * features come from step i. *Sensitivity*: how much of a local error at step j is left in the final
 * latents, from a run in which j alone reuses the step before. Their product estimates the final error
 * of a reuse without running it.
 *
 * @module
 */

import { FeatureCache } from "../../engine/feature_cache.ts";
import { constantsOf, guided, stepInputs } from "../../engine/run.ts";
import { fullStep, fullSteps } from "../../engine/segment/step_segments.ts";
import { disposeAll, type Values } from "../../engine/device_values.ts";
import type { FullStep, MixedStep, ModuleAction, Step } from "../../plan/compile.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { runOf, trial, type Trials } from "../trials.ts";

/** Expected final error of reuse. */
export interface ReuseErrors {
  /** `final[i][j]`: root mean square error left in the final latents when j reuses i; i < j. */
  readonly final: readonly (readonly number[])[];
  /** Longest run of reused steps that was measured. */
  readonly longest: number;
}

/** How to measure. */
export interface ReuseErrorOptions {
  /** Longest run of reused steps to consider. */
  readonly longest: number;
  /** Hears of each measured step: done of total. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** Measures local errors and sensitivities on the trajectory of the trials. */
export async function measureReuse(
  trials: Trials,
  { longest, onProgress }: ReuseErrorOptions,
): Promise<ReuseErrors> {
  const count = trials.times.length;
  const local = await localErrors(trials, longest);
  const final = local.map((row) => [...row]);
  for (let j = 1; j < count; j++) {
    const single = await singleReuse(trials, j);
    const sensitivity = single / Math.max(local[j - 1]![j]!, Number.MIN_VALUE); // measured for all j
    for (let i = Math.max(0, j - longest); i < j; i++) final[i]![j]! *= sensitivity;
    onProgress?.(j, count - 1);
  }
  return { final, longest };
}

/** Root mean square error of the predicted noise at j with all features of i, for j − i ≤ longest. */
async function localErrors(trials: Trials, longest: number): Promise<number[][]> {
  const { model } = trials.subject;
  const count = trials.times.length;
  const modules = model.transformer.modules.length;
  const storing = storeAll(modules);
  const errors = trials.times.map((): number[] => []);
  const held: { readonly index: number; readonly features: FeatureCache }[] = [];
  const constants = await constantsOf(runOf(trials.subject, []));
  try {
    for (let j = 0; j < count; j++) {
      const features = new FeatureCache();
      held.push({ index: j, features });
      const exact = await predictNoise(trials, storing, { index: j, features, constants });
      for (const { index, features } of held.slice(0, -1)) {
        const reused = await predictNoise(trials, reuseAll(modules), {
          index: j,
          features,
          constants,
        });
        errors[index]![j] = rootMeanSquare(reused, exact);
      }
      if (held.length > longest) held.shift()?.features.dispose();
    }
  } finally {
    held.forEach(({ features }) => features.dispose());
    disposeAll(constants);
  }
  return errors;
}

/** A step that runs every module and keeps every feature. */
export function storeAll(modules: number): FullStep {
  const full = fullStep(modules);
  return { ...full, actions: full.actions.map(() => ({ kind: "run", keep: 1 })) };
}

/** The noise that one step predicts from the latents of the full run, with what the cache keeps. */
export async function predictNoise(
  { subject, table, times, full }: Trials,
  step: Step,
  { index, features, constants }: {
    readonly index: number;
    readonly features: FeatureCache;
    readonly constants: Values;
  },
): Promise<Tensor> {
  const run = { ...runOf(subject, [step]), features };
  const inputs = stepInputs(run, { table, latent: full[index]!.latent, time: times[index]! }); // steps exist
  return guided(await subject.executor.runStep(step, { ...inputs, constants }), run);
}

/** Final error of the run in which step j alone reuses all features of the step before. */
async function singleReuse(trials: Trials, j: number): Promise<number> {
  const modules = trials.subject.model.transformer.modules.length;
  const steps: Step[] = [...fullSteps(trials.times.length, modules)];
  const before = steps[j - 1]!; // j ≥ 1
  if (before.kind === "full") {
    steps[j - 1] = { ...before, actions: before.actions.map(() => ({ kind: "run", keep: 1 })) };
  }
  steps[j] = reuseAll(modules, "drop");
  const trajectory = await trial(trials, steps, trials.full.slice(0, j));
  return rootMeanSquare(trajectory.at(-1)!.latent, trials.full.at(-1)!.latent);
}

/** A step that runs no branch and merges every kept feature. */
export function reuseAll(modules: number, after: "drop" | "keep" = "keep"): MixedStep {
  const action: ModuleAction = { kind: "reuse", keep: after === "keep" ? 1 : 0 };
  return mixedStep(Array.from({ length: modules }, () => action));
}

/** A step of these actions that keeps no state. */
export function mixedStep(actions: readonly ModuleAction[]): MixedStep {
  const at = { index: 0, slot: "joint" };
  return { kind: "mixed", ...at, storeHidden: false, storeResidual: false, actions };
}

/** Root mean square difference. */
export function rootMeanSquare(a: Tensor, b: Tensor): number {
  const sum = a.data.reduce((total, value, i) => total + (value - b.data[i]!) ** 2, 0); // same shape
  return Math.sqrt(sum / a.data.length);
}
