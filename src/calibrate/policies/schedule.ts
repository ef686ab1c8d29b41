/**
 * The times of a model's sampler as a plan owns them, so that steps may be forecast or moved between them.
 */

import type { SamplerConfig } from "../../sampler/config.ts";
import { evenSigmas, shiftFactor } from "../../sampler/flow_schedule.ts";
import type { Sampler } from "../../sampler/sampler.ts";
import { hasFixedTimes, makeSampler } from "../../sampler/solvers.ts";

/** Times of a run in so many steps. */
export interface Schedule {
  /** Falling; of a flow, sigmas before they are shifted. */
  readonly times: readonly number[];
  /** Of a flow: the factor of their shift. */
  readonly shift?: number;
}

/** How many steps, of what picture. */
export interface ScheduleOptions {
  readonly steps: number;
  readonly tokens: number;
}

/** The schedule of a run in full: sigmas of a flow are even before their shift. */
export function scheduleOf(config: SamplerConfig, { steps, tokens }: ScheduleOptions): Schedule {
  return hasFixedTimes(config.name)
    ? { times: makeSampler(config, { steps, tokens }).times }
    : { times: evenSigmas(steps), shift: shiftFactor(config.shift, tokens) };
}

/** The sampler that visits such times. @throws {RangeError} When it is Heun's, which visits each twice. */
export function samplerAtTimes(
  config: SamplerConfig,
  { times, tokens }: { readonly times: readonly number[]; readonly tokens: number },
): Sampler {
  if (config.name.endsWith("heun")) {
    throw new RangeError(
      "Cannot calibrate: sampler must be one that visits a plan's times, each once: " +
        `current value is ${config.name}`,
    );
  }
  const own = hasFixedTimes(config.name) ? { times } : { sigmas: times };
  return makeSampler(config, { steps: times.length, tokens, ...own });
}
