/**
 * The sampler of a run: the model's own at its times, or at those that a plan owns, with the plan's weights.
 */

import { PlanError } from "../errors.ts";
import { outputsKept, type StepWeights } from "../plan/columns.ts";
import type { Plan } from "../plan/plan.ts";
import type { SamplerConfig } from "../sampler/config.ts";
import { planned } from "../sampler/planned.ts";
import type { Sampler } from "../sampler/sampler.ts";
import { hasFixedTimes, makeSampler, type SamplingRequest } from "../sampler/solvers.ts";

/** A sampling request with a plan, if there is one. */
export interface PlannedSampling extends SamplingRequest {
  readonly plan?: Plan | undefined;
}

/** Whether a run with the plan visits the plan's times, whatever its sampler would visit. */
export function ownsTimes(plan: Plan | undefined): plan is Plan & { readonly version: 2 } {
  return plan?.version === 2;
}

/**
 * Refuses other steps or sigmas beside a plan that owns its times; its own number of steps may be repeated.
 *
 * @throws {PlanError} When there are any.
 */
export function refuseOtherTimes(
  plan: Plan | undefined,
  { steps, sigmas }: { readonly steps?: number | undefined; readonly sigmas?: readonly number[] },
): void {
  if (!ownsTimes(plan)) return;
  const { times: { length } } = plan.sampler;
  if (steps !== undefined && steps !== length) {
    throw new PlanError(
      `Cannot use plan: steps must be ${length}, for it has times of its own: ` +
        `current value is ${steps}`,
    );
  }
  if (sigmas === undefined) return;
  throw new PlanError(
    `Cannot use plan: sigmas must not be given, for it has its own: current value is ${sigmas}`,
  );
}

/**
 * Makes the sampler of a run. A plan for another sampler gets no say: it is refused where it is checked.
 *
 * @throws {RangeError} When times or sigmas do not fit.
 */
export function samplerOf(config: SamplerConfig, request: PlannedSampling): Sampler {
  const { plan, tokens } = request;
  if (!ownsTimes(plan) || plan.sampler.name !== config.name) return makeSampler(config, request);
  const { sampler: { times }, columns } = plan;
  const own = hasFixedTimes(config.name) ? { times } : { sigmas: times };
  const solver = makeSampler(config, { steps: times.length, tokens, ...own });
  const none = times.map(() => null);
  const { update = none, forecast = none } = columns ?? {};
  if ([...update, ...forecast].every((weights) => weights === null)) return solver;
  const weighs = (weights: StepWeights | undefined): number => (weights?.length ?? 1) - 1;
  const kept = outputsKept(times.map((_, step) => ({
    weighs: Math.max(weighs(update[step]), weighs(forecast[step])),
    makes: (forecast[step] ?? null) === null,
  })));
  return planned(solver, { update, forecast, kept });
}
