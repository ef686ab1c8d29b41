/**
 * Measuring the rows of a search on held-back conditions.
 *
 * @module
 */

import { compilePlan } from "../../plan/compile.ts";
import type { Plan } from "../../plan/plan.ts";
import { isFull } from "./row_options.ts";
import type { Measured } from "./search.ts";
import { psnrToFull, type Trajectory, trial, type Trials } from "../trials.ts";

/** Rows with the run that they gave. */
export interface MeasuredRows extends Measured {
  /** The sampler's state before each step, and after the last one. */
  readonly trajectory: Trajectory;
}

/**
 * Runs rows. What they share with those that were measured before is not run again: states are known up to
 * the first difference, and a step that runs every module needs nothing that was kept.
 */
export async function measureOn(
  heldBack: Trials,
  rows: readonly string[],
  known: MeasuredRows | undefined,
): Promise<MeasuredRows> {
  const { steps } = compilePlan(planOf(heldBack, rows));
  const first = known === undefined ? 0 : lastFullShared(rows, known.rows);
  const before = known?.trajectory ?? heldBack.full;
  const trajectory = await trial(heldBack, steps, { first, before });
  return { rows, trajectory, psnr: psnrToFull(heldBack, trajectory) };
}

/** The last full step up to the first row that differs. */
function lastFullShared(rows: readonly string[], known: readonly string[]): number {
  const different = rows.findIndex((row, step) => row !== known[step]);
  const shared = rows.slice(0, different < 0 ? rows.length : different + 1);
  return Math.max(0, shared.findLastIndex(isFull));
}

/** A bare plan, for compiling only. */
function planOf({ subject: { model }, times }: Trials, rows: readonly string[]): Plan {
  const { architecture, modules } = model.transformer;
  return {
    version: 1,
    architecture,
    fingerprints: [],
    modules: modules.map(({ name }) => name),
    sampler: { name: model.sampler.name, times },
    slots: ["joint"],
    rows: rows.map((row) => [row]),
    context: {},
    policy: { name: "search", parameters: {} },
  };
}
