/**
 * The solvers by name, and a sampler of what a model says of itself.
 *
 * @module
 */

import type { SamplerDefaults } from "../assets/manifest.ts";
import { ddim } from "./ddim.ts";
import { flowEuler } from "./flow_euler.ts";
import { evenSigmas, type FlowSchedule, flowSchedule } from "./flow_schedule.ts";
import { linearSchedule, type NoiseSchedule } from "./noise_schedule.ts";
import type { Sampler } from "./sampler.ts";
import { spacedSchedule } from "./spaced_schedule.ts";

/** Solvers for models that predict noise. */
const NOISE_SOLVERS: Readonly<Record<string, (schedule: NoiseSchedule) => Sampler>> = { ddim };
/** Solvers for models that predict velocity. */
const FLOW_SOLVERS: Readonly<Record<string, (schedule: FlowSchedule) => Sampler>> = {
  "flow-euler": flowEuler,
};

/** Names of all samplers. */
export const samplerNames: readonly string[] = [NOISE_SOLVERS, FLOW_SOLVERS].flatMap(Object.keys);

/** What a schedule depends on. */
export interface SamplingRequest {
  /** Sampling steps. */
  readonly steps: number;
  /** Sigmas before the shift, instead of evenly spaced ones; flow matching only. */
  readonly sigmas?: readonly number[] | undefined;
  /** Tokens of a picture: some schedules shift by them. */
  readonly tokens: number;
}

/**
 * Makes a sampler.
 *
 * @throws {RangeError} When sigmas do not fit, or the sampler has none.
 */
export function makeSampler(sampler: SamplerDefaults, request: SamplingRequest): Sampler {
  const flow = FLOW_SOLVERS[sampler.name];
  if (flow !== undefined) return flow(flowScheduleOf(sampler, request));
  if (request.sigmas !== undefined) {
    throw new RangeError(`Cannot sample: sigmas must not be given to ${sampler.name}`);
  }
  const { spacing } = sampler;
  const { steps } = request;
  const schedule = spacing === undefined ? linearSchedule(steps) : spacedSchedule(steps, spacing);
  return NOISE_SOLVERS[sampler.name]!(schedule); // names are checked where they are read
}

/** Whether a sampler visits these times, as far as that is known without a picture's size. */
export function mayVisit(sampler: SamplerDefaults, times: readonly number[]): boolean {
  if (sampler.name in FLOW_SOLVERS) return true; // a flow's times may depend on tokens
  if (times.length < 1 || times.length > 1000) return false;
  return `${makeSampler(sampler, { steps: times.length, tokens: 0 }).times}` === `${times}`;
}

const NO_SHIFT = { kind: "static", shift: 1 } as const;

function flowScheduleOf(
  { shift = NO_SHIFT }: SamplerDefaults,
  { steps, sigmas = evenSigmas(steps), tokens }: SamplingRequest,
): FlowSchedule {
  if (sigmas.length === steps) return flowSchedule(sigmas, { shift, tokens });
  throw new RangeError(
    `Cannot sample: sigmas must be ${steps}, one for each step: current value is ${sigmas.length}`,
  );
}
