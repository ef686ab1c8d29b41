/**
 * A run, prepared: the request, what it is about, how it is sampled and what each step does are decided
 * here, once, and passed on.
 *
 * @module
 */

import type { Model } from "../model/model.ts";
import { compilePlan, type Step } from "../plan/compile.ts";
import { checkPlanFits } from "../plan/fit.ts";
import type { Plan } from "../plan/plan.ts";
import { planTarget } from "./plan_facts.ts";
import { type GenerateOptions, type ResolvedRequest, resolveRequest } from "./request.ts";
import { fullSteps } from "./segment/step_segments.ts";

/** All that is known of a run before it begins. */
export interface PreparedRun {
  /** What to generate, about what, sampled how. */
  readonly request: ResolvedRequest;
  /** What to reuse; absent = nothing. */
  readonly plan?: Plan | undefined;
  /** What each step does, one for each time of the sampler. */
  readonly steps: readonly Step[];
  /** A sentence for each circumstance in which the run differs from its plan's calibration. */
  readonly notices: readonly string[];
}

/**
 * Prepares a run.
 *
 * @param precision Precision of the weights, as plans call it.
 * @throws {RangeError} When an option is out of range.
 * @throws {PlanError} When the plan does not fit the model or the sampler, or cannot be run.
 */
export async function prepareRun(
  model: Model,
  options: GenerateOptions,
  precision?: string,
): Promise<PreparedRun> {
  const { plan } = options;
  const request = resolveRequest(model, options);
  const { sampler: { times }, guidance, scene: { tokenGrid }, sigmas } = request;
  if (plan === undefined) {
    const steps = fullSteps(times.length, model.transformer.modules.length);
    return { request, steps, notices: [] };
  }
  const target = await planTarget(model, { times, sigmas, guidance, tokenGrid, precision });
  const notices = checkPlanFits(plan, target);
  return { request, plan, steps: compilePlan(plan).steps, notices };
}
