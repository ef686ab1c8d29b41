/**
 * What error a step leaves when it is fitted on the converged trajectory: known from inner products alone, without
 * running anything, so that very many choices of times can be compared.
 */

import { MOST_OUTPUTS } from "../../plan/columns.ts";
import { dot, leastSquares, type NormalEquations, squaredError } from "./least_squares.ts";
import type { Trajectory } from "./trajectory.ts";

/** Errors of steps between the nodes of a trajectory. */
export interface Foresight {
  /** How many nodes there are; the finished latents are the node after the last. */
  readonly nodes: number;
  /**
   * Mean squared error at node `to` of the best weights of the latent at the last of the visited nodes and of the
   * outputs at the latest of them.
   */
  error(visited: readonly number[], to: number): number;
}

/** The ridge of these weights, which nothing is run with. */
const RIDGE = 1e-8;
/** Numbers of a run of which one is taken: neighbours say nearly the same. */
const SAMPLED = 4;

/** Computes the inner products of a trajectory. */
export function foresee({ latents, outputs }: Trajectory): Foresight {
  const nodes = outputs.length;
  const vectors = [...latents, ...outputs].map(sampled);
  const gram = vectors.map((a, i) => vectors.map((b, j) => j < i ? 0 : dot(a, b)));
  const product = (i: number, j: number): number => i < j ? gram[i]![j]! : gram[j]![i]!;
  const [{ length }] = vectors as [Float32Array]; // there are finished latents at least
  return {
    nodes,
    error(visited, to): number {
      const latest = visited.slice(-MOST_OUTPUTS);
      const terms = [latest.at(-1)!, ...latest.map((node) => nodes + 1 + node)]; // at least one is visited
      const equations: NormalEquations = {
        gram: terms.map((a) => terms.map((b) => product(a, b))),
        target: terms.map((a) => product(a, to)),
      };
      return squaredError(equations, leastSquares(equations, RIDGE), product(to, to)) / length;
    },
  };
}

/** Every fourth number, another one in each stretch so that no column of a picture is left out. */
function sampled(numbers: Float32Array): Float32Array {
  return Float32Array.from(
    { length: Math.floor(numbers.length / SAMPLED) },
    (_, i) => numbers[SAMPLED * i + Math.floor(i / 8) % SAMPLED]!, // within
  );
}
