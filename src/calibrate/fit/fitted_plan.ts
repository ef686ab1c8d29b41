/**
 * The plan of a fitted course.
 */

import { MOST_OUTPUTS } from "../../plan/columns.ts";
import type { Plan, PlanContext } from "../../plan/plan.ts";
import { evenRow } from "../../plan/row.ts";
import { planOf } from "../task.ts";
import type { Nodes } from "../converged.ts";
import type { FitTask, MeasuredCourse } from "./fit_task.ts";

/** What was found, and how. */
export interface Fitted {
  readonly nodes: Nodes;
  readonly course: MeasuredCourse;
  /** With which each step was fitted. */
  readonly ridge: number;
  /** Plans that were measured. */
  readonly tried: number;
  /** Runs that weights were fitted on. */
  readonly runs: number;
  /** By guidance scale: dB that are lost there. */
  readonly losses: PlanContext["guidanceLossDb"];
}

/** A plan that computes every step, bound to the model that was fitted. */
export async function fittedPlan(
  task: FitTask,
  { nodes, course, ridge, tried, runs, losses }: Fitted,
): Promise<Plan> {
  const { pipeline: { model }, steps, guidance, target } = task;
  const { times, update, psnr } = course;
  const row = evenRow("run", model.transformer.modules.length);
  return await planOf({ ...task, levels: {}, warmup: 0 }, {
    rows: times.map(() => row),
    guidance,
    policy: {
      name: "fit",
      parameters: {
        ...target,
        ...{ fittedRuns: runs, nodes: nodes.times.length, trials: tried },
        ...{ outputs: MOST_OUTPUTS, ridge, heldBackDb: Math.round(100 * psnr) / 100 },
      },
    },
    calibration: { mode: "fit", thresholds: {} },
    own: {
      times,
      columns: { update },
      reference: { sampler: model.sampler.name, steps },
      ...(nodes.shift !== undefined && { shift: nodes.shift }),
      ...(losses?.length && { guidanceLossDb: losses }),
    },
  });
}
