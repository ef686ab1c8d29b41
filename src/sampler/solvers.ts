/**
 * The solvers by name, and the sampler of a configuration.
 */

import type { SamplerConfig } from "./config.ts";
import { ddim } from "./ddim.ts";
import { flowEuler } from "./flow_euler.ts";
import { evenSigmas, type FlowSchedule, flowSchedule } from "./flow_schedule.ts";
import { linearSchedule, type NoiseSchedule } from "./noise_schedule.ts";
import { scheduleAt } from "./real_times.ts";
import type { Sampler } from "./sampler.ts";
import { spacedSchedule } from "./spaced_schedule.ts";

const NOISE_SOLVERS = { ddim } satisfies Record<string, (schedule: NoiseSchedule) => Sampler>;
/** Solvers for models that predict velocity. */
const FLOW_SOLVERS = {
  "flow-euler": flowEuler,
} satisfies Record<string, (schedule: FlowSchedule) => Sampler>;

export const samplerNames: readonly string[] = [NOISE_SOLVERS, FLOW_SOLVERS].flatMap(Object.keys);

export interface SamplingRequest {
  readonly steps: number;
  /** Times in 0 … 999, falling, instead of those of the spacing; only where noise is predicted. */
  readonly times?: readonly number[] | undefined;
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
export function makeSampler(config: SamplerConfig, request: SamplingRequest): Sampler {
  const { name, spacing } = config;
  const { steps, sigmas, times } = request;
  if (!hasFixedTimes(name)) return FLOW_SOLVERS[name](flowScheduleOf(config, request));
  if (sigmas !== undefined) {
    throw new RangeError(`Cannot sample: sigmas must not be given to ${name}`);
  }
  if (times !== undefined) return NOISE_SOLVERS[name](scheduleAt(times, spacing));
  const schedule = spacing === undefined ? linearSchedule(steps) : spacedSchedule(steps, spacing);
  return NOISE_SOLVERS[name](schedule);
}

/**
 * Whether a sampler of this name visits the same times for every picture; a flow's sigmas may be given, and may
 * shift with the picture's size.
 */
export function hasFixedTimes(name: string): name is keyof typeof NOISE_SOLVERS {
  return Object.hasOwn(NOISE_SOLVERS, name);
}

/** Whether a sampler visits these times, as far as that is known without a picture's size. */
export function mayVisit(config: SamplerConfig, times: readonly number[]): boolean {
  if (!hasFixedTimes(config.name)) return true;
  if (times.length < 1 || times.length > 1000) return false;
  return `${makeSampler(config, { steps: times.length, tokens: 0 }).times}` === `${times}`;
}

const NO_SHIFT = { kind: "static", shift: 1 } as const;

function flowScheduleOf(
  { shift = NO_SHIFT }: SamplerConfig,
  { steps, sigmas = evenSigmas(steps), tokens }: SamplingRequest,
): FlowSchedule {
  if (sigmas.length === steps) return flowSchedule(sigmas, { shift, tokens });
  throw new RangeError(
    `Cannot sample: sigmas must be ${steps}, one for each step: current value is ${sigmas.length}`,
  );
}
