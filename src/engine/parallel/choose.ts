/**
 * Methods that compute steps of a run beside each other, by name, and how one cuts the steps of a request.
 */

import { oneOf } from "../../nearest_names.ts";
import { hasFixedTimes } from "../../sampler/solvers.ts";
import { isOneStep, type Segmented, segmented, usualSegments } from "../../sampler/srds.ts";
import { MAX_BATCH } from "../max_batch.ts";
import { chooseFrom, type HasSettings, type Settings } from "../policies/settings.ts";
import type { ResolvedRequest } from "../request.ts";

const SRDS = {
  words: "long steps first, then segments of steps beside each other until nothing moves",
  settings: {
    segments: {
      words: "how many; 0 is the divisor of the steps nearest to their root",
      or: 0,
      least: 0,
      most: MAX_BATCH,
      whole: true,
    },
    threshold: {
      words: "ends where the latent moves less on average; 0 is where it is exact",
      or: 0.01,
      least: 0,
      most: 1,
    },
  },
} as const;

/** Every one. */
export const PARALLEL_METHODS: Readonly<Record<string, HasSettings>> = { srds: SRDS };

/** One that was asked for. */
export interface ChosenParallel {
  /** As it was asked for. */
  readonly word: string;
  readonly settings: Settings<typeof SRDS.settings>;
}

/** One that was asked for, and the run that it cuts. */
export interface ParallelRun extends Segmented {
  /** As it was asked for. */
  readonly word: string;
  /** Where rounds end, in units of the latent. */
  readonly threshold: number;
}

/**
 * Reads `srds[:SETTING=NUMBER,…]`.
 *
 * @throws {TypeError} When there is no such method or setting.
 * @throws {RangeError} When a number is out of its setting's range.
 */
export function chooseParallel(word: string): ChosenParallel {
  const { settings } = chooseFrom({ srds: SRDS }, word, { verb: "generate", what: "parallel" });
  return { word, settings: { segments: settings["segments"]!, threshold: settings["threshold"]! } }; // all are there
}

/**
 * Cuts the steps of a request.
 *
 * @throws {RangeError} When its solver looks back, or the segments do not divide its steps.
 */
export function cutRequest(
  { word, settings: { segments: wanted, threshold } }: ChosenParallel,
  { sampler, sampling: { name, predicts = "epsilon" } }: Pick<
    ResolvedRequest,
    "sampler" | "sampling"
  >,
): ParallelRun {
  const isNoise = hasFixedTimes(name);
  if (!isOneStep(sampler)) {
    throw new RangeError(
      `Cannot generate: sampler must be ${isNoise ? "ddim" : "flow-euler"} beside ${word}, ` +
        `for others look at the steps before: current value is ${name}`,
    );
  }
  const { length } = sampler.times;
  const segments = wanted === 0 ? usualSegments(length, MAX_BATCH) : wanted;
  if (length % segments !== 0) {
    const dividing = Array.from({ length: MAX_BATCH }, (_, i) => `${i + 1}`)
      .filter((count) => length % Number(count) === 0);
    throw new RangeError(
      `Cannot generate: segments of srds must be ${
        oneOf(dividing, `${segments}`)
      } for ${length} steps: ` +
        `current value is ${segments}`,
    );
  }
  const cut = segmented(sampler, { segments, predicts: isNoise ? predicts : "velocity" });
  return { ...cut, word, threshold };
}
