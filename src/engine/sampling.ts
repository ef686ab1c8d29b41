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
  { sampler, tokenGrid }: Pick<Model, "sampler" | "tokenGrid">,
  { steps, sigmas, scene }: Pick<ResolvedRequest, "steps" | "sigmas" | "scene">,
): Sampler {
  const [rows, columns] = tokenGrid;
  return makeSampler(sampler, { steps, sigmas, tokens: scene?.tokens ?? rows * columns });
}
