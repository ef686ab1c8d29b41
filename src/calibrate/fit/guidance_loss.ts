/**
 * What a plan loses at guidance scales that its weights were not fitted for.
 */

import { requestOf, type RunConditions } from "../task.ts";
import { mean } from "../median.ts";
import { picturesOf, psnrOf } from "../pictures.ts";
import { type Nodes, nodesOf } from "../converged.ts";
import { follow } from "./course.ts";
import { openEnsemble } from "./ensemble.ts";
import type { FitTask, MeasuredCourse } from "./fit_task.ts";
import { recordTrajectory } from "./trajectory.ts";

/** Scales that are measured, in scales of the fit; those below 1 would be none. */
const SCALES = [0.5, 1.5, 2];

/** Share of the nodes for its converged solutions, of which only the end is wanted. */
const SHARE = 0.6;

/**
 * Measures a course at other scales, each against the converged solution at that scale.
 *
 * @param conditions Runs that were not fitted.
 * @returns By scale, rising: how many dB of PSNR are lost; nothing for a model that is not guided.
 */
export async function measureGuidanceLoss(
  task: FitTask,
  { nodes, course, conditions }: {
    readonly nodes: Nodes;
    readonly course: MeasuredCourse;
    readonly conditions: RunConditions;
  },
): Promise<readonly (readonly [scale: number, lossDb: number])[]> {
  if (requestOf(task).scene.guidedBy === undefined) return [];
  const scales = SCALES.map((factor) => factor * task.guidance).filter((scale) => scale >= 1);
  const losses: [number, number][] = [];
  for (const guidance of scales) {
    const psnr = await psnrAt({ ...task, conditions, guidance }, { nodes, course });
    losses.push([guidance, Math.round(100 * (course.psnr - psnr)) / 100]);
  }
  return losses;
}

async function psnrAt(
  task: FitTask,
  { nodes, course }: { readonly nodes: Nodes; readonly course: MeasuredCourse },
): Promise<number> {
  const { pipeline, signal } = task;
  const { scene, noise: { dims } } = requestOf(task);
  const count = Math.round(SHARE * nodes.times.length);
  const { sampler } = nodesOf(pipeline.model.sampler, { tokens: scene.tokens, count });
  const { timeOf } = nodes;
  const times = course.times.map(timeOf);
  const ensemble = await openEnsemble(task, [...sampler.times, ...times]);
  try {
    const truth = await recordTrajectory(ensemble, sampler);
    const pictures = (data: Float32Array): ReturnType<typeof picturesOf> =>
      picturesOf({ dims, data }, { pipeline, scene, signal });
    const { latents } = await follow({ ensemble, timeOf }, course);
    const [found, wanted] = [
      await pictures(latents.at(-1)!),
      await pictures(truth.latents.at(-1)!),
    ];
    return mean(psnrOf(pipeline, found, wanted));
  } finally {
    ensemble.close();
  }
}
