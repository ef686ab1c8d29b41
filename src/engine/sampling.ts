/**
 * From a sampler's name to what drives a run: its times and its loop.
 *
 * @module
 */

import type { SamplerDefaults } from "../assets/manifest.ts";
import type { Model } from "../model/model.ts";
import { ddim, type Denoise, predictionWeights, type SamplerStep } from "../sampler/ddim.ts";
import { evenSigmas, flowEuler, flowFrom, flowSchedule } from "../sampler/flow_match.ts";
import { linearSchedule, scheduleFrom } from "../sampler/noise_schedule.ts";
import { spacedSchedule } from "../sampler/spaced_schedule.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { ResolvedRequest } from "./request.ts";

/** A sampler with its schedule. */
export interface Sampling {
  /** Times at which the model is called, noisiest first. */
  readonly times: readonly number[];
  /** By step: how far the latent moves for a change of the prediction by one. */
  readonly weights: readonly number[];
  /** The loop from step `first` on, indices counted from there. */
  run(
    first: number,
    latents: Tensor,
    denoise: Denoise,
  ): AsyncGenerator<SamplerStep, void, undefined>;
}

/** What a schedule depends on. */
export interface SamplingRequest {
  /** Sampling steps. */
  readonly steps: number;
  /** Sigmas before the shift, instead of evenly spaced ones; flow matching only. */
  readonly sigmas?: readonly number[] | undefined;
  /** Tokens of a picture: some schedules shift by them. */
  readonly tokens: number;
}

/** The sampler of a run. */
export function samplingFor(
  { sampler, tokenGrid }: Pick<Model, "sampler" | "tokenGrid">,
  { steps, sigmas, scene }: Pick<ResolvedRequest, "steps" | "sigmas" | "scene">,
): Sampling {
  const [rows, columns] = tokenGrid;
  return samplingOf(sampler, { steps, sigmas, tokens: scene?.tokens ?? rows * columns });
}

/**
 * The sampler of a model.
 *
 * @throws {RangeError} When sigmas do not fit, or the sampler has none.
 */
export function samplingOf(sampler: SamplerDefaults, request: SamplingRequest): Sampling {
  if (sampler.name === "flow-euler") return flowSampling(sampler, request);
  if (request.sigmas !== undefined) {
    throw new RangeError(`Cannot sample: sigmas must not be given to ${sampler.name}`);
  }
  const { steps } = request;
  const { spacing } = sampler;
  const schedule = spacing === undefined ? linearSchedule(steps) : spacedSchedule(steps, spacing);
  return {
    times: schedule.times,
    weights: predictionWeights(schedule),
    run: (first, latents, denoise) => ddim(scheduleFrom(schedule, first), latents, denoise),
  };
}

/** Whether a sampler visits these times, as far as that is known without a picture's size. */
export function mayVisit(sampler: SamplerDefaults, times: readonly number[]): boolean {
  if (sampler.name !== "ddim") return true; // a flow's times may depend on tokens
  if (times.length < 1 || times.length > 1000) return false;
  return `${samplingOf(sampler, { steps: times.length, tokens: 0 }).times}` === `${times}`;
}

const NO_SHIFT = { kind: "static", shift: 1 } as const;

function flowSampling(
  { shift = NO_SHIFT }: SamplerDefaults,
  { steps, sigmas = evenSigmas(steps), tokens }: SamplingRequest,
): Sampling {
  if (sigmas.length !== steps) {
    throw new RangeError(
      `Cannot sample: sigmas must be ${steps}, one for each step: current value is ${sigmas.length}`,
    );
  }
  const schedule = flowSchedule(sigmas, { shift, tokens });
  return {
    times: schedule.times,
    weights: schedule.times.map((_, i) => schedule.sigmas[i]! - schedule.sigmas[i + 1]!), // one more
    run: (first, latents, denoise) => flowEuler(flowFrom(schedule, first), latents, denoise),
  };
}
