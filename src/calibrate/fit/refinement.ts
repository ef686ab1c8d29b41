/**
 * Refines all weights and times of a course together, towards where its last step arrives.
 *
 * Weights that are fitted step by step bring each step as near as it gets to the converged solution at its own time;
 * what that costs or saves later steps they cannot know. Here each weight and each time is nudged, the rest of the run
 * is repeated, and by how finished latents move then, all of them are changed at once (Gauss and Newton's method).
 */

import { type Course, follow, type Passed, type Runner, summed, termsOf } from "./course.ts";
import { difference, leastSquares, normalEquations, rootMeanSquare } from "./least_squares.ts";

/** Latents move by so much, in root mean square, where a weight is nudged: float32 rounds to far less. */
const NUDGE = 0.01;
/** A time is nudged by this part of the gap to the next. */
const TIME_NUDGE = 0.02;
/**
 * What diagonals of normal equations are raised by: directions are far from straight, and differ little from each other,
 * so that much of each must be held back.
 */
export const STEP_RIDGES: readonly number[] = [1e-3, 1e-4, 1e-2];
/** Digits of a weight and of a time. */
const DIGITS = 8;

/** A number of a course that may change. */
export interface Direction {
  /** What finished latents change by, with one nudge of it. */
  readonly moved: Float32Array;
  /** The course with so many nudges of it. */
  readonly apply: (course: Course, by: number) => Course;
}

/** Times that are visited to find the directions of a course: its own, and each a little later. */
export function timesAround({ times }: Course): readonly number[] {
  return [...times, ...times.map((time, step) => time + timeNudge(times, step))];
}

/** How many runs to the end it takes to find the directions of a course. */
export function runsAround({ times, update }: Course): number {
  const weights = update.slice(0, -1).reduce((sum, { length }) => sum + length, 0);
  return weights + times.length - 1;
}

/** What each weight and each time moves; all are run but weights of the last step, whose sums are known. */
export async function directionsOf(
  runner: Runner,
  course: Course,
  passed: Passed,
): Promise<readonly Direction[]> {
  const { times, update } = course;
  const finished = passed.latents.at(-1)!; // the noise at least
  const directions: Direction[] = [];
  for (const [step, weights] of update.entries()) {
    for (const [k, term] of termsOf(passed, step, weights.length).entries()) {
      const nudge = NUDGE / rootMeanSquare(term);
      const found = await follow(runner, course, nudged(passed, { step, term, nudge }));
      directions.push({
        moved: difference(found.latents.at(-1)!, finished),
        apply: (changed, by) => withWeight(changed, { step, k, by: by * nudge }),
      });
    }
    if (step === 0) continue; // latents are noise there, of no other time
    const nudge = timeNudge(times, step);
    const found = await follow(runner, withTime(course, step, nudge), before(passed, step));
    directions.push({
      moved: difference(found.latents.at(-1)!, finished),
      apply: (changed, by) => withTime(changed, step, by * nudge),
    });
  }
  return directions;
}

/** What was passed until a step's update gave somewhat more of a term. */
function nudged(
  { latents, outputs }: Passed,
  { step, term, nudge }: {
    readonly step: number;
    readonly term: Float32Array;
    readonly nudge: number;
  },
): Passed {
  const after = summed([1, nudge], [latents[step + 1]!, term]);
  return {
    latents: [...latents.slice(0, step + 1), after],
    outputs: outputs.slice(0, step + 1),
  };
}

/** What was passed before a step called the model. */
function before({ latents, outputs }: Passed, step: number): Passed {
  return { latents: latents.slice(0, step + 1), outputs: outputs.slice(0, step) };
}

function timeNudge(times: readonly number[], step: number): number {
  return TIME_NUDGE * ((times[step + 1] ?? 0) - times[step]!); // earlier than the one before
}

function withWeight(
  { times, update }: Course,
  { step, k, by }: { readonly step: number; readonly k: number; readonly by: number },
): Course {
  const weights = update[step]!;
  return { times, update: update.with(step, weights.with(k, weights[k]! + by)) };
}

function withTime({ times, update }: Course, step: number, by: number): Course {
  return { update, times: times.with(step, times[step]! + by) };
}

/** Where a course ended, and where it should have. */
export interface Missed {
  readonly found: Float32Array;
  readonly wanted: Float32Array;
  /** How many runs they are of. */
  readonly runs: number;
  /** What diagonals are raised by. */
  readonly ridge: number;
}

/**
 * The course that should end nearer; what each run is off by counts in parts of what it is now, as in a mean of dB.
 *
 * @returns `undefined` where its times would not fall.
 */
export function improved(
  course: Course,
  directions: readonly Direction[],
  { found, wanted, runs, ridge }: Missed,
): Course | undefined {
  const missing = difference(wanted, found);
  const scaled = scaler(missing, runs);
  const equations = normalEquations(directions.map(({ moved }) => scaled(moved)), scaled(missing));
  const by = leastSquares(equations, ridge);
  const changed = directions.reduce((all, { apply }, i) => apply(all, by[i]!), course); // one each
  const times = changed.times.map(shortened);
  const falls = times.every((time, i) => time >= 0 && (i === 0 || time < times[i - 1]!));
  return falls ? { times, update: changed.update.map((each) => each.map(shortened)) } : undefined;
}

function shortened(value: number): number {
  return Number(value.toPrecision(DIGITS));
}

/** Divides what belongs to each run by what that is off by. */
function scaler(missing: Float32Array, runs: number): (numbers: Float32Array) => Float32Array {
  const size = missing.length / runs;
  const errors = Array.from(
    { length: runs },
    (_, run) => rootMeanSquare(missing.subarray(run * size, (run + 1) * size)) || 1, // nothing is missing
  );
  return (numbers) => numbers.map((value, i) => value / errors[Math.floor(i / size)]!); // one for each run
}
