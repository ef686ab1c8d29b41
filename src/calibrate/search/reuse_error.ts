/**
 * Measures how much accuracy is lost when a later step reuses the features of an earlier one.
 *
 * Two measurements on the full trajectory. *Local*: the error of the predicted noise at step j when all
 * features come from step i. *Sensitivity*: how much of a local error at step j is left in the final
 * latents, from a run in which j alone reuses the step before. Their product estimates the final error
 * of a reuse without running it.
 */

import { FeatureCache } from "../../engine/feature_cache.ts";
import { guided, stepInputs } from "../../engine/batch_inputs.ts";
import { constantsOf } from "../../engine/run.ts";
import { evenStep, fullSteps } from "../../engine/segment/step_segments.ts";
import { disposeAll, type Values } from "../../engine/device_values.ts";
import type { CallStep, Step, TrunkStep } from "../../plan/compile.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { runOf, trial, type Trials } from "../trials.ts";

/** Expected final error of reuse. */
export interface ReuseErrors {
  /** `final[i][j]`: root mean square error left in the final latents when j reuses i; i < j. */
  readonly final: readonly (readonly number[])[];
  /** Longest run of reused steps that was measured. */
  readonly longest: number;
}

export interface ReuseErrorOptions {
  /** Longest run of reused steps to consider. */
  readonly longest: number;
  /** Called after each measured step: done of total. */
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
  const errors = trials.times.map((): number[] => []);
  const { length } = trials.subject.pipeline.model.transformer.modules;
  const reuse = evenStep({ kind: "reuse", keep: 1 }, length);
  const full = evenStep({ kind: "run", keep: 1 }, length);
  for await (const { index: j, exact, held, predict } of alongFullRun(trials, longest, full)) {
    for (const { index, features } of held) {
      errors[index]![j] = rootMeanSquare(await predict(reuse, features), exact);
    }
  }
  return errors;
}

interface FullRunStep {
  readonly index: number;
  /** The noise that it predicts. */
  readonly exact: Tensor;
  /** What earlier steps keep, the oldest first. */
  readonly held: readonly { readonly index: number; readonly features: FeatureCache }[];
  /** The noise that another step would predict here, with what is kept. */
  readonly predict: (step: CallStep, features: FeatureCache) => Promise<Tensor>;
}

/** The full run, by a step that keeps what up to `longest` later steps may load. */
export async function* alongFullRun(
  trials: Trials,
  longest: number,
  full: TrunkStep,
): AsyncGenerator<FullRunStep, void, undefined> {
  const held: FullRunStep["held"][number][] = [];
  const constants = await constantsOf(runOf(trials.subject, []));
  try {
    for (const index of trials.times.keys()) {
      const predict = (step: CallStep, features: FeatureCache): Promise<Tensor> =>
        predictNoise(trials, step, { index, features, constants });
      const features = new FeatureCache();
      held.push({ index, features });
      yield { index, exact: await predict(full, features), held: held.slice(0, -1), predict };
      if (held.length > longest) held.shift()?.features.dispose();
    }
  } finally {
    held.forEach(({ features }) => features.dispose());
    disposeAll(constants);
  }
}

/** The noise that one step predicts from the latents of the full run, with what the cache keeps. */
async function predictNoise(
  { subject, table, full }: Trials,
  step: CallStep,
  { index, features, constants }: {
    readonly index: number;
    readonly features: FeatureCache;
    readonly constants: Values;
  },
): Promise<Tensor> {
  const run = { ...runOf(subject, [step]), features };
  const inputs = stepInputs(run, { table, latent: full[index]!.latent, index });
  return guided(await subject.pipeline.executor.runStep(step, { ...inputs, constants }), run);
}

/** Final error of the run in which step j alone reuses all features of the step before. */
async function singleReuse(trials: Trials, j: number): Promise<number> {
  const modules = trials.subject.pipeline.model.transformer.modules.length;
  const steps: Step[] = [...fullSteps(trials.times.length, modules)];
  steps[j - 1] = evenStep({ kind: "run", keep: 1 }, modules, j - 1); // j ≥ 1
  steps[j] = evenStep({ kind: "reuse", keep: 0 }, modules, j);
  const trajectory = await trial(trials, steps, trials.full.slice(0, j));
  return rootMeanSquare(trajectory.at(-1)!.latent, trials.full.at(-1)!.latent);
}

export function rootMeanSquare(a: Tensor, b: Tensor): number {
  const sum = a.data.reduce((total, value, i) => total + (value - b.data[i]!) ** 2, 0); // same shape
  return Math.sqrt(sum / a.data.length);
}
