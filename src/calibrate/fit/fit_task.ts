/**
 * What mode `fit` is asked for, and what it finds.
 */

import type { CalibrationTask } from "../task.ts";
import type { Course } from "./course.ts";
import type { Measured } from "./relocation.ts";
import type { Rollout } from "./rollout.ts";

/** A calibration that fits; its steps are those of the reference, a run in full. */
export interface FitTask extends Omit<CalibrationTask, "levels" | "warmup" | "longest"> {
  /** Least speed-up over the reference, or least PSNR in dB to the converged solution on the held-back runs. */
  readonly target: { readonly speedup: number } | { readonly psnr: number };
  /** Most plans to measure. */
  readonly trials: number;
  /** Whether there is time to measure another plan. */
  readonly hasTime: () => boolean;
}

/** A rollout and what it is worth. */
export interface MeasuredRollout extends Rollout, Measured {}

/** A course and what it is worth: PSNR in dB of the held-back runs. */
export interface MeasuredCourse extends Course, Pick<Measured, "psnr"> {}
