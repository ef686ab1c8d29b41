/**
 * First-block cache: the first block always runs, and while what it adds has hardly changed since the last step that
 * ran in full, so has what the others add.
 *
 * *Source:* diffusers' `FirstBlockCacheConfig` (after ParaAttention): the mean of |change| over that of |what was
 * added|; a step runs where it is above the threshold.
 */

import type { RunTimePolicy } from "./policy.ts";
import { relativeChange } from "./signals.ts";

const SETTINGS = {
  threshold: {
    words: "most change of what the first block adds; .2 is faster",
    or: 0.05,
    least: 0,
  },
} as const;

/** The policy. */
export const FIRST_BLOCK: RunTimePolicy<typeof SETTINGS> = {
  words: "reuse while what the first block adds hardly changes",
  settings: SETTINGS,
  signal: "first-block",
  begin: ({ threshold }) => {
    let last: Float32Array | undefined; // of the last step that ran
    return (_, numbers) => {
      // A threshold of 0 is off: even what does not change at all runs.
      if (last !== undefined && threshold > 0 && relativeChange(numbers, last) <= threshold) {
        return "reuse";
      }
      last = numbers;
      return "run";
    };
  },
};
