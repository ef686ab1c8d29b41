/**
 * Adams–Bashforth's method on the straight path of a flow: velocity as a polynomial of sigma through the latest calls.
 *
 * To be converged in few steps is what it is for: from pure noise on, velocity is smooth in sigma, where solvers that
 * take logarithms of the picture's share begin with one long step. *Source:* Hairer, Nørsett, Wanner, Solving Ordinary
 * Differential Equations I, III.5.
 */

import type { FlowSchedule } from "./flow_schedule.ts";
import { combine, kept, LATENT, type LinearStep, PREDICTION } from "./linear_step.ts";
import { linearSampler } from "./linear.ts";
import { pointOfFlow } from "./path.ts";
import type { Sampler } from "./sampler.ts";

/** Calls that a polynomial goes through. */
const ORDER = 3;

/** Samples along a schedule; the model predicts velocity, noise − picture. */
export function adamsFlow({ sigmas, times }: FlowSchedule): Sampler {
  const steps = times.map((_, step): LinearStep => {
    const count = Math.min(ORDER, step + 1);
    const velocities = [PREDICTION, ...Array.from({ length: count - 1 }, (_, i) => kept(i))];
    const nodes = velocities.map((_, k) => sigmas[step - k]!); // the latest first
    const next = sigmas[step + 1]!; // one more than times
    return {
      latent: combine(
        [1, LATENT],
        ...velocities.map((v, k) => [integral(nodes, k, next), v] as const),
      ),
      history: step + 1 === times.length ? [] : velocities.slice(0, ORDER - 1),
      estimate: combine([1, LATENT], [-sigmas[step]!, PREDICTION]),
    };
  });
  return linearSampler({ times, points: sigmas.map(pointOfFlow) }, steps);
}

/** The integral, from the first node to an end, of the polynomial that is 1 at node k and 0 at the others. */
function integral(nodes: readonly number[], k: number, end: number): number {
  const [from = 0] = nodes;
  // By powers of the distance to the first node, from the constant on.
  let powers = [1];
  for (const [i, node] of nodes.entries()) {
    if (i === k) continue;
    const scale = 1 / (nodes[k]! - node); // a node
    const shifted = [0, ...powers].map((value) => value * scale);
    powers = shifted.map((value, p) => value + (powers[p] ?? 0) * (from - node) * scale);
  }
  return powers.reduce((sum, value, p) => sum + value * (end - from) ** (p + 1) / (p + 1), 0);
}
