/**
 * Refines a course as long as runs that are held back come nearer to the converged solution.
 */

import { sliceConditions } from "../task.ts";
import type { Nodes } from "../converged.ts";
import { type Course, follow, type Runner } from "./course.ts";
import { openEnsemble } from "./ensemble.ts";
import type { FitTask, MeasuredCourse } from "./fit_task.ts";
import {
  directionsOf,
  improved,
  type Missed,
  runsAround,
  STEP_RIDGES,
  timesAround,
} from "./refinement.ts";

/** What a course is refined on. */
export interface RefineTask extends Pick<FitTask, "trials" | "hasTime"> {
  readonly task: FitTask;
  readonly nodes: Nodes;
  /** Finished latents of the converged solution, of all runs. */
  readonly wanted: Float32Array;
  /** How many runs are fitted, the first; the others decide. */
  readonly runs: number;
  /** Mean PSNR in dB of held-back pictures, from finished latents of all runs. */
  readonly measure: (latents: Float32Array) => Promise<number>;
  /** Called after each turn. */
  readonly onTrial?: ((done: number) => void) | undefined;
}

/** Turns that gain less, in dB, are the last. */
const LEAST_GAIN = 0.02;

/**
 * Refines in turns, as many as there are trials for: what is run to find directions counts, too.
 *
 * @returns The best, and how many trials it took.
 */
export async function refineCourse(
  task: RefineTask,
  first: MeasuredCourse,
): Promise<{ readonly best: MeasuredCourse; readonly tried: number }> {
  const each = runsAround(first) + STEP_RIDGES.length;
  let [best, tried, gain] = [first, 0, Infinity];
  while (tried + each <= task.trials && gain >= LEAST_GAIN && task.hasTime()) {
    const before = best.psnr;
    for (const course of await candidatesOf(task, best)) {
      const psnr = await task.measure(await finished(task, course));
      if (psnr > best.psnr) best = { ...course, psnr };
    }
    tried += each;
    gain = best.psnr - before;
    task.onTrial?.(tried);
  }
  return { best, tried };
}

/** Courses that should be better, one for each ridge whose times fall. */
async function candidatesOf(
  { task, nodes, wanted, runs }: RefineTask,
  course: Course,
): Promise<readonly Course[]> {
  const conditions = sliceConditions(task.conditions, 0, runs);
  const part = wanted.subarray(0, wanted.length * runs / task.conditions.labels.length);
  return await withRunner({ ...task, conditions }, nodes, {
    times: timesAround(course),
    use: async (runner) => {
      const passed = await follow(runner, course);
      const directions = await directionsOf(runner, course, passed);
      const missed: Omit<Missed, "ridge"> = { found: passed.latents.at(-1)!, wanted: part, runs };
      return STEP_RIDGES.map((ridge) => improved(course, directions, { ...missed, ridge }))
        .filter((each) => each !== undefined);
    },
  });
}

/** Finished latents of all runs. */
async function finished({ task, nodes }: RefineTask, course: Course): Promise<Float32Array> {
  return await withRunner(task, nodes, {
    times: course.times,
    use: async (runner) => (await follow(runner, course)).latents.at(-1)!,
  });
}

async function withRunner<T>(
  task: FitTask,
  { timeOf }: Nodes,
  { times, use }: {
    /** Those that it visits. */
    readonly times: readonly number[];
    readonly use: (runner: Runner) => Promise<T>;
  },
): Promise<T> {
  const ensemble = await openEnsemble(task, times.map(timeOf));
  try {
    return await use({ ensemble, timeOf });
  } finally {
    ensemble.close();
  }
}
