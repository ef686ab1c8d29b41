/**
 * A run that begins from a picture: the rest of its sampler's steps and of its plan.
 */

import type { Plan } from "../plan/plan.ts";
import { restOfPlan } from "../plan/rest.ts";
import { noised } from "../sampler/known.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { ownsTimes, samplerOf } from "./plan_sampler.ts";
import type { ResolvedRequest } from "./request.ts";
import type { ResolvedEdit } from "./request_edit.ts";

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
  const { sampling, sigmas, steps, scene: { tokens }, sampler: whole } = request;
  const options = { steps, sigmas, tokens, from: edit.from };
  const from = ownsTimes(plan)
    ? edit.from
    : whole.times.length - samplerOf(sampling, options).times.length; // Heun's begins with an interval
  const rest = plan && restOfPlan(plan, from);
  const sampler = samplerOf(sampling, { ...options, plan: rest?.plan });
  const changed = rest?.changed ?? 0;
  return {
    request: { ...request, sampler, edit },
    plan: rest?.plan,
    notices: [
      ...edit.notices,
      ...(changed === 0 ? [] : [
        `The plan begins at step ${from} of ${steps}: ${changed} of its steps compute more than it says, ` +
        "for what they would load is of steps that are left out.",
      ]),
    ],
  };
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
