/**
 * A run that begins from a picture: the rest of its sampler's steps and of its plan.
 */

import { compilePlan, type Step } from "../plan/compile.ts";
import type { Plan } from "../plan/plan.ts";
import { restOfPlan } from "../plan/rest.ts";
import type { SamplerConfig } from "../sampler/config.ts";
import { noised } from "../sampler/known.ts";
import { makeSampler } from "../sampler/solvers.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { ownsTimes, type PlannedSampling, samplerOf } from "./plan_sampler.ts";
import type { ResolvedRequest } from "./request.ts";
import type { ResolvedEdit } from "./request_edit.ts";
import { fullSteps } from "./segment/step_segments.ts";

/** What is left of a run. */
export interface BegunRun {
  readonly request: ResolvedRequest;
  readonly plan?: Plan | undefined;
  readonly notices: readonly string[];
}

/** The rest of a run that begins from a picture; the whole of any other. */
export function begin(
  request: ResolvedRequest,
  { edit, plan }: { readonly edit: ResolvedEdit | undefined; readonly plan: Plan | undefined },
): BegunRun {
  if (edit === undefined) return { request, plan, notices: [] };
  const { sampling, sigmas, steps, scene: { tokens } } = request;
  const options = { steps, sigmas, tokens, from: edit.from };
  const from = firstStep(sampling, { ...options, plan });
  const rest = plan && restOfPlan(plan, from);
  const sampler = samplerOf(sampling, { ...options, plan: rest?.plan });
  const changed = rest?.changed ?? 0;
  return {
    request: { ...request, sampler, edit },
    plan: rest?.plan,
    notices: [
      ...edit.notices,
      ...(changed === 0 ? [] : [
        `The plan begins at step ${from} of ${steps}: ${changed} of its steps do otherwise than it says, ` +
        "for what they would load or weigh is of steps that are left out.",
      ]),
    ],
  };
}

/** What each step does of a run that leaves out so many of a model with so many modules; told before it is prepared. */
export function stepsLeft(
  config: SamplerConfig,
  { modules, ...request }:
    & Omit<PlannedSampling, "tokens">
    & { readonly from: number; readonly modules: number },
): readonly Step[] {
  const from = firstStep(config, { ...request, tokens: 1 }); // times shift with tokens, no more
  if (request.plan === undefined) return fullSteps(request.steps - from, modules);
  return compilePlan(restOfPlan(request.plan, from).plan).steps;
}

/** The step that a run begins with where it leaves out so many: Heun's method begins with an interval. */
function firstStep(
  config: SamplerConfig,
  { plan, ...request }: PlannedSampling & { readonly from: number },
): number {
  if (ownsTimes(plan)) return request.from;
  return request.steps - makeSampler(config, request).times.length;
}

/** A request with the latents of the picture that it begins from, where there is one. */
export async function withKnown(
  request: ResolvedRequest,
  encode: (planes: Tensor, grid: readonly number[] | undefined) => Promise<Tensor>,
): Promise<ResolvedRequest> {
  const { edit, scene } = request;
  if (edit === undefined) return request;
  const latents = await encode(edit.planes, scene.tokenGrid);
  return { ...request, known: { latents, mask: edit.mask } };
}

/** The latents that the first step is given: noise, or a picture with noise. */
export function firstLatents({ noise, known, sampler }: ResolvedRequest): Tensor {
  return known === undefined ? noise : noised(known.latents, noise, sampler.points[0]!); // there is a step
}
