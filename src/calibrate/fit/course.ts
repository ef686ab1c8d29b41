/**
 * A course: the times that a run visits and the weights that take it on, whether fitted or refined.
 */

import { weightedSum } from "../../sampler/linear.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { Ensemble } from "./ensemble.ts";

/** Where steps go, and by which weights. */
export interface Course {
  /** Of each step, as a plan has them. */
  readonly times: readonly number[];
  /** By step: `[a, c₀ … c_m]`. */
  readonly update: readonly (readonly number[])[];
}

/** What runs a course. */
export interface Runner {
  readonly ensemble: Ensemble;
  /** The time that the model is given for one of a plan. */
  readonly timeOf: (time: number) => number;
}

/** What was passed so far; as many outputs as latents, or one less: then the model is called next. */
export interface Passed {
  /** Before each step. */
  readonly latents: readonly Float32Array[];
  readonly outputs: readonly Float32Array[];
}

/** Runs a course to its end, from the noise or from what was passed; the finished latents come last. */
export async function follow(
  { ensemble, timeOf }: Runner,
  { times, update }: Course,
  begun: Passed = { latents: [ensemble.noise], outputs: [] },
): Promise<Passed> {
  const [latents, outputs] = [[...begun.latents], [...begun.outputs]];
  for (let step = latents.length - 1; step < times.length; step++) {
    outputs[step] ??= await ensemble.predict(latents[step]!, timeOf(times[step]!)); // one for each step so far
    const weights = update[step]!; // one for each time
    latents.push(summed(weights, termsOf({ latents, outputs }, step, weights.length)));
  }
  return { latents, outputs };
}

/** What so many weights of a step weigh: its latent, then outputs, the latest first. */
export function termsOf(
  { latents, outputs }: Passed,
  step: number,
  weights: number,
): readonly Float32Array[] {
  const recent = outputs.slice(Math.max(0, step + 2 - weights), step + 1).toReversed();
  return [latents[step]!, ...recent]; // a step that was passed
}

/** A weighted sum, as samplers make it. */
export function summed(
  weights: readonly number[],
  terms: readonly Float32Array[],
): Float32Array {
  const tensors = terms.map((data): Tensor => ({ dims: [data.length], data }));
  return weightedSum(weights, tensors).data;
}
