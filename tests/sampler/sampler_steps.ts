import {
  type Denoise,
  type Sampler,
  type SamplerStep,
  sampleSteps,
  startOf,
} from "../../src/sampler/sampler.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

/** All steps of a run from noise. */
export function stepsOf(sampler: Sampler, noise: Tensor, denoise: Denoise): Promise<SamplerStep[]> {
  return Array.fromAsync(sampleSteps(sampler, { start: startOf(noise), denoise }));
}
