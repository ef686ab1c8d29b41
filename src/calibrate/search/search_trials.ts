/**
 * Measuring the rows of a search on held-back conditions.
 */

import { compilePlan } from "../../plan/compile.ts";
import { isFull, type Row } from "../../plan/row.ts";
import type { Measured } from "./search.ts";
import { psnrToFull, type SamplerStates, trial, type Trials } from "../trials.ts";

/** Rows with the run that they gave. */
export interface MeasuredRows extends Measured {
  /** The sampler's state before each step, and after the last one. */
  readonly trajectory: SamplerStates;
}

/**
 * Runs rows. What they share with those that were measured before is not run again: states are known up to
 * the first difference, and a step that runs every module needs nothing that was kept.
 */
export async function measureOn(
  heldBack: Trials,
  rows: readonly Row[],
  known: MeasuredRows | undefined,
): Promise<MeasuredRows> {
  const modules = heldBack.subject.pipeline.model.transformer.modules.map(({ name }) => name);
  const { steps } = compilePlan({ modules, slots: ["joint"], rows: rows.map((row) => [row]) });
  const shared = known?.trajectory.slice(0, lastFullShared(rows, known.rows) + 1);
  const trajectory = await trial(heldBack, steps, shared);
  return { rows, trajectory, psnr: await psnrToFull(heldBack, trajectory) };
}

/** The last full step up to the first row that differs. */
function lastFullShared(rows: readonly Row[], known: readonly Row[]): number {
  const different = rows.findIndex(({ text }, step) => text !== known[step]?.text);
  const shared = rows.slice(0, different < 0 ? rows.length : different + 1);
  return Math.max(0, shared.findLastIndex(isFull));
}
