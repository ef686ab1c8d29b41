/**
 * Weights for each step, fitted where a plan really goes: on the latents that its earlier steps left, towards the
 * converged solution at the time that the step arrives at.
 */

import type { Tensor } from "../../tensor/tensor.ts";
import { MOST_OUTPUTS } from "../../plan/columns.ts";
import { weightedSum } from "../../sampler/linear.ts";
import type { Ensemble } from "./ensemble.ts";
import { leastSquares, normalEquations } from "./least_squares.ts";
import type { Trajectory } from "./trajectory.ts";

/** Runs and where they should go. */
export interface RolloutTask {
  readonly ensemble: Ensemble;
  /** Converged: of all runs. */
  readonly truth: Trajectory;
  /** Weights are fitted on the first so many numbers; the others are held back. */
  readonly fitted: number;
}

/** What may be chosen of a rollout. */
export interface RolloutChoice {
  /** Nodes of the truth, the first of them 0. */
  readonly visited: readonly number[];
  /** What the diagonals of normal equations are raised by. */
  readonly ridge: number;
}

/** Runs that visited some nodes. */
export interface Rollout extends RolloutChoice {
  /** By step: `[a, c₀ … c_m]`. */
  readonly update: readonly (readonly number[])[];
  /** Latents of all runs before each step; the finished ones follow. */
  readonly latents: readonly Float32Array[];
  /** By step: what the model put out. */
  readonly outputs: readonly Float32Array[];
}

/** Digits of a weight: more would be less than a float32 of the latent. */
const DIGITS = 8;

/**
 * Fits the weights of each step in turn.
 *
 * @param known An earlier rollout with the same ridge: what both have in common is not run again.
 */
export async function fitRollout(
  { ensemble, truth, fitted }: RolloutTask,
  { visited, ridge }: RolloutChoice,
  known?: Rollout,
): Promise<Rollout> {
  const common = commonStart(visited, known?.visited ?? []);
  const update: (readonly number[])[] = [...known?.update.slice(0, Math.max(0, common - 1)) ?? []];
  const latents = [ensemble.noise, ...known?.latents.slice(1, common) ?? []];
  const outputs = [...known?.outputs.slice(0, common) ?? []];
  for (let step = update.length; step < visited.length; step++) {
    const latent = latents[step]!; // one for each step so far
    outputs[step] ??= await ensemble.predict(latent, truth.times[visited[step]!]!);
    const recent = outputs.slice(Math.max(0, step + 1 - MOST_OUTPUTS)).toReversed();
    const terms = [latent, ...recent];
    const wanted = truth.latents[visited[step + 1] ?? truth.times.length]!;
    const weights = fitWeights(terms, wanted, { fitted, ridge });
    update.push(weights);
    latents[step + 1] = weightedSum(weights, terms.map(tensorOf)).data;
  }
  return { visited, ridge, update, latents, outputs };
}

function fitWeights(
  terms: readonly Float32Array[],
  wanted: Float32Array,
  { fitted, ridge }: { readonly fitted: number; readonly ridge: number },
): readonly number[] {
  const part = (numbers: Float32Array): Float32Array => numbers.subarray(0, fitted);
  return leastSquares(normalEquations(terms.map(part), part(wanted)), ridge)
    .map((weight) => Number(weight.toPrecision(DIGITS)));
}

/** How many nodes two rollouts visit alike at their start. */
function commonStart(a: readonly number[], b: readonly number[]): number {
  const first = a.findIndex((node, i) => node !== b[i]);
  return first < 0 ? a.length : first;
}

function tensorOf(data: Float32Array): Tensor {
  return { dims: [data.length], data };
}
