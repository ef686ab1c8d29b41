/**
 * Mode `search`: choose the rows of a plan by measured error, under a budget of predicted cost.
 *
 * Rows are of two kinds: full, and reuse of every module's feature on a fresh embedding with fresh
 * gates. A row of the second kind costs under one percent of a full one and keeps far more of the
 * picture than a kept hidden state, whose step ignores its latent (4 to 7 dB at equal cost on the embedded model).
 *
 * Dynamic programming places the full steps by expected final error; then each is moved by one step to
 * either side as long as the measured PSNR on held-back conditions grows.
 *
 * @module
 */

import { modelCost } from "../engine/plan_target.ts";
import { sceneOf } from "../engine/request.ts";
import type { Transformer } from "../model/module_graph.ts";
import { compilePlan } from "../plan/compile.ts";
import { predictSpeedup } from "../plan/cost.ts";
import type { Plan } from "../plan/plan.ts";
import { placeFullSteps } from "./placement.ts";
import { measureReuse, type ReuseErrors } from "./reuse_error.ts";
import { psnrToFull, type Trajectory, trial, type Trials } from "./trials.ts";

/** How to search. */
export interface SearchOptions {
  /** Least predicted speed-up of the plan. */
  readonly speedup: number;
  /** Most trial runs of the refinement. */
  readonly trials: number;
  /** Hears of progress: done of at most total, and the best PSNR in dB so far. */
  readonly onProgress?: ((done: number, total: number, psnr: number) => void) | undefined;
}

/** What a search found. */
export interface SearchResult {
  /** One row per step, `.` and `r` marks. */
  readonly rows: readonly string[];
  /** Predicted speed-up. */
  readonly predicted: number;
  /** Mean PSNR in dB to the full run on the held-back conditions. */
  readonly psnr: number;
}

/** Longest run of reused steps that is considered. */
export const LONGEST_REUSE = 7;

/**
 * Searches rows of at least the predicted speed-up.
 *
 * @param errors Measured on other conditions than the held-back ones: see {@link measureReuse}.
 * @throws {RangeError} When no number of full steps within the longest reuse is that fast.
 */
export async function searchRows(
  errors: ReuseErrors,
  heldBack: Trials,
  { speedup, trials, onProgress }: SearchOptions,
): Promise<SearchResult> {
  const { transformer } = sceneOf(heldBack.subject.model, heldBack.subject.request);
  const steps = heldBack.times.length;
  const count = fullStepCount(transformer, steps, speedup);
  let best = await evaluate(heldBack, placeFullSteps(errors, steps, count), undefined);
  let done = 1;
  for (let improved = true; improved;) {
    improved = false;
    for (const placement of neighbours(best.placement, steps)) {
      if (done >= trials) return resultOf(heldBack, best);
      const next = await evaluate(heldBack, placement, best);
      onProgress?.(++done, trials, Math.max(best.psnr, next.psnr));
      if (next.psnr <= best.psnr) continue;
      best = next;
      improved = true;
      break;
    }
  }
  return resultOf(heldBack, best);
}

/** The largest number of full steps that is fast enough. */
function fullStepCount(transformer: Transformer, steps: number, speedup: number): number {
  const { embed, head, modules } = modelCost(transformer);
  const cheap = embed + head + modules.reduce((sum, { merge }) => sum + merge, 0);
  const full = cheap + modules.reduce((sum, { branch }) => sum + branch, 0);
  return Math.floor((steps * full / speedup - steps * cheap) / (full - cheap));
}

/** A placement of full steps and what it is worth. */
interface Candidate {
  readonly placement: readonly number[];
  readonly trajectory: Trajectory;
  readonly psnr: number;
}

/** Runs a placement; what it shares with another candidate before their first difference is not rerun. */
async function evaluate(
  heldBack: Trials,
  placement: readonly number[],
  known: Candidate | undefined,
): Promise<Candidate> {
  const { steps } = compilePlan(planOf(heldBack, placement));
  const first = known === undefined ? 0 : lastCommonFullStep(placement, known.placement);
  const before = known?.trajectory ?? heldBack.full;
  const trajectory = await trial(heldBack, steps, { first, before });
  return { placement, trajectory, psnr: psnrToFull(heldBack, trajectory) };
}

function lastCommonFullStep(a: readonly number[], b: readonly number[]): number {
  const different = a.findIndex((step, i) => step !== b[i]);
  return a[Math.max(0, different - 1)] ?? 0;
}

/** Every placement in which one full step but the first is one step earlier or later. */
function* neighbours(placement: readonly number[], steps: number): Generator<readonly number[]> {
  for (let i = 1; i < placement.length; i++) {
    for (const shift of [-1, 1]) {
      const moved = placement[i]! + shift; // i is within
      const free = moved > placement[i - 1]! && moved < (placement[i + 1] ?? steps);
      if (free) yield placement.with(i, moved);
    }
  }
}

function resultOf(heldBack: Trials, { placement, psnr }: Candidate): SearchResult {
  const plan = planOf(heldBack, placement);
  const { transformer } = sceneOf(heldBack.subject.model, heldBack.subject.request);
  const predicted = predictSpeedup(compilePlan(plan), modelCost(transformer));
  return { rows: plan.rows.map(([row]) => row!), predicted, psnr }; // one slot
}

/** A bare plan, for compiling only. */
function planOf({ subject: { model }, times }: Trials, placement: readonly number[]): Plan {
  const { architecture, modules } = model.transformer;
  const full = new Set(placement);
  return {
    version: 1,
    architecture,
    fingerprints: [],
    modules: modules.map(({ name }) => name),
    sampler: { name: model.sampler.name, times },
    slots: ["joint"],
    rows: times.map((_, step) => [(full.has(step) ? "." : "r").repeat(modules.length)]),
    context: {},
    policy: { name: "search", parameters: {} },
  };
}

export { measureReuse };
