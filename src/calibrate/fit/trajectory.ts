/**
 * The converged solution of many runs, as they pass through the times that a plan may visit.
 */

import { sampleSteps, startOf } from "../../sampler/sampler.ts";
import type { Sampler } from "../../sampler/sampler.ts";
import type { Ensemble } from "./ensemble.ts";

/** Numbers of all runs, one after the other, at each node. */
export interface Trajectory {
  /** Time given to the model at each node, falling. */
  readonly times: readonly number[];
  /** Latents before each node's step; the finished ones follow. */
  readonly latents: readonly Float32Array[];
  /** What the model puts out at each node. */
  readonly outputs: readonly Float32Array[];
}

/**
 * Records a run along a sampler of so many steps that it has converged.
 *
 * @param onStep Called after each step.
 */
export async function recordTrajectory(
  { noise, predict }: Ensemble,
  sampler: Sampler,
  onStep?: (done: number) => void,
): Promise<Trajectory> {
  const outputs: Float32Array[] = [];
  const latents = [noise];
  const steps = sampleSteps(sampler, {
    start: startOf({ dims: [noise.length], data: noise }),
    denoise: async ({ dims, data }, { time }) => {
      const output = await predict(data, time);
      outputs.push(output);
      return { dims, data: output };
    },
  });
  for await (const { index, state } of steps) {
    latents.push(state.latent.data);
    onStep?.(index + 1);
  }
  return { times: sampler.times, latents, outputs };
}

/** The first runs of a trajectory, or the others. */
export function runsOf(
  { times, latents, outputs }: Trajectory,
  { from, to }: { readonly from: number; readonly to: number },
): Trajectory {
  const cut = (numbers: Float32Array): Float32Array => numbers.subarray(from, to);
  return { times, latents: latents.map(cut), outputs: outputs.map(cut) };
}
