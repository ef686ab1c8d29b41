/**
 * What a plan loses at guidance scales that its weights were not fitted for.
 */

import { weightedSum } from "../../sampler/linear.ts";
import { requestOf, type RunConditions } from "../task.ts";
import { mean } from "../median.ts";
import { picturesOf, psnrOf } from "../pictures.ts";
import { type Nodes, nodesOf } from "../converged.ts";
import { type Ensemble, openEnsemble } from "./ensemble.ts";
import type { FitTask, MeasuredRollout } from "./fit_task.ts";
import { recordTrajectory } from "./trajectory.ts";

/** Scales that are measured, in scales of the fit; those below 1 would be none. */
const SCALES = [0.5, 1.5, 2];

/** Share of the nodes for its converged solutions, of which only the end is wanted. */
const SHARE = 0.6;

/**
 * Measures a rollout at other scales, each against the converged solution at that scale.
 *
 * @param conditions Runs that were not fitted.
 * @returns By scale, rising: how many dB of PSNR are lost; nothing for a model that is not guided.
 */
export async function measureGuidanceLoss(
  task: FitTask,
  { nodes, rollout, conditions }: {
    readonly nodes: Nodes;
    readonly rollout: MeasuredRollout;
    readonly conditions: RunConditions;
  },
): Promise<readonly (readonly [scale: number, lossDb: number])[]> {
  if (requestOf(task).scene.guidedBy === undefined) return [];
  const scales = SCALES.map((factor) => factor * task.guidance).filter((scale) => scale >= 1);
  const losses: [number, number][] = [];
  for (const guidance of scales) {
    const psnr = await psnrAt({ ...task, conditions, guidance }, { nodes, rollout });
    losses.push([guidance, Math.round(100 * (rollout.psnr - psnr)) / 100]);
  }
  return losses;
}

async function psnrAt(
  task: FitTask,
  { nodes, rollout }: { readonly nodes: Nodes; readonly rollout: MeasuredRollout },
): Promise<number> {
  const { pipeline, signal } = task;
  const { scene, noise: { dims } } = requestOf(task);
  const count = Math.round(SHARE * nodes.times.length);
  const { sampler } = nodesOf(pipeline.model.sampler, { tokens: scene.tokens, count });
  const times = rollout.visited.map((node) => nodes.sampler.times[node]!);
  const ensemble = await openEnsemble(task, [...sampler.times, ...times]);
  try {
    const truth = await recordTrajectory(ensemble, sampler);
    const pictures = (data: Float32Array): ReturnType<typeof picturesOf> =>
      picturesOf({ dims, data }, { pipeline, scene, signal });
    const found = await pictures(await follow(ensemble, times, rollout.update));
    return mean(psnrOf(pipeline, found, await pictures(truth.latents.at(-1)!)));
  } finally {
    ensemble.close();
  }
}

/** Finished latents of runs that follow weights. */
async function follow(
  ensemble: Ensemble,
  times: readonly number[],
  update: readonly (readonly number[])[],
): Promise<Float32Array> {
  let latents = ensemble.noise;
  let outputs: readonly Float32Array[] = [];
  for (const [step, time] of times.entries()) {
    outputs = [await ensemble.predict(latents, time), ...outputs];
    const terms = [latents, ...outputs].map((data) => ({ dims: [data.length], data }));
    latents = weightedSum(update[step]!, terms).data; // one for each time
  }
  return latents;
}
