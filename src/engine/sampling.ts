/**
 * The sampler of a run: the model's, for the steps and the picture's size of a request.
 *
 * @module
 */

import type { Model } from "../model/model.ts";
import type { Sampler } from "../sampler/sampler.ts";
import { makeSampler } from "../sampler/solvers.ts";
import type { ResolvedRequest } from "./request.ts";

/**
 * The sampler of a run.
 *
 * @throws {RangeError} When sigmas do not fit, or the sampler has none.
 */
export function samplingFor(
  { sampler }: Pick<Model, "sampler">,
  { steps, sigmas, scene: { tokens } }: Pick<ResolvedRequest, "steps" | "sigmas" | "scene">,
): Sampler {
  return makeSampler(sampler, { steps, sigmas, tokens });
}
