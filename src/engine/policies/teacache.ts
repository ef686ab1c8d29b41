/**
 * TeaCache: how far the modulated input of the first block moves from step to step, rescaled by a polynomial, is added
 * up; until the sum reaches the threshold what the model adds is reused.
 *
 * *Source:* arXiv 2411.19108 and its published code (ali-vilab/TeaCache), for FLUX. First and last step always run.
 * Its polynomial was fitted on FLUX.1-dev and is not 0 at 0; `calibrate --policy teacache` fits one for another model.
 */

import type { Decision, RunTimePolicy } from "./policy.ts";
import { relativeChange } from "./signals.ts";
import type { Setting, Settings } from "./settings.ts";

/** A coefficient of the polynomial. */
function coefficient(power: number, or: number): Setting {
  return { words: `what the change's power ${power} counts for`, or, least: -Infinity };
}

const SETTINGS = {
  threshold: {
    words: "most that rescaled changes add up to; .4, .6 and .8 are faster",
    or: 0.25,
    least: 0,
  },
  c4: coefficient(4, 498.651651),
  c3: coefficient(3, -283.781631),
  c2: coefficient(2, 55.8554382),
  c1: coefficient(1, -3.82021401),
  c0: coefficient(0, 0.264230861),
} as const;

/** The policy. */
export const TEACACHE: RunTimePolicy<typeof SETTINGS> = {
  words: "reuse while the first block's input has moved little",
  settings: SETTINGS,
  signal: "first-input",
  begin: (settings, { times: { length: steps } }) => {
    let before: Float32Array | undefined; // of the step before, whatever it did
    const decide = accumulated(settings, { steps });
    return (step, numbers) => {
      const change = before === undefined ? 0 : relativeChange(numbers, before);
      before = numbers;
      return decide(step, change);
    };
  },
};

/** The rule for changes from step to step: until they add up, rescaled, to the threshold. */
export function accumulated(
  { threshold, c4, c3, c2, c1, c0 }: Settings<typeof SETTINGS>,
  { steps }: { readonly steps: number },
): (step: number, change: number) => Decision {
  let moved = 0;
  return (step, change) => {
    moved += (((c4 * change + c3) * change + c2) * change + c1) * change + c0;
    if (step > 0 && step < steps - 1 && moved < threshold) return "reuse";
    moved = 0;
    return "run";
  };
}
