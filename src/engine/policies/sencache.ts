/**
 * SenCache: how far latent and time have moved since the last step that ran, times how much the output changed with
 * either there, foretells the error of taking that output again; while it is small enough it is taken.
 *
 * *Source:* arXiv 2602.24208 and its published code (vita-epfl/SenCache). The paper reuses the output of the network,
 * as here, its code the residual of the blocks. Thresholds of the code are for the norm of one size of latents; root
 * mean squares, as here, hold for every size.
 */

import type { Decision, RunTimePolicy } from "./policy.ts";
import type { Settings, Tables } from "./settings.ts";

const SETTINGS = {
  threshold: { words: "most error per number that is foretold; .2 is faster", or: 0.1, least: 0 },
  start: { words: "the same in the first fifth of the steps", or: 0.01, least: 0 },
  longest: { words: "most steps that are reused in a row", or: 3, least: 0, whole: true },
} as const;

const TABLES = {
  at: "by step of calibration: its time",
  latent: "there, change of the output for a change of the latent",
  time: "there, change of the output for a change of the time",
} as const;

/** What was measured along runs in full. */
export type Sensitivity = Tables<keyof typeof TABLES>;

/** Share of the steps that is held to the stricter threshold. */
const STRICT_SHARE = 0.2;

/** The policy. */
export const SENCACHE: RunTimePolicy<typeof SETTINGS> = {
  words: "reuse outputs while latent and time foretell little change",
  settings: SETTINGS,
  tables: TABLES,
  signal: "latent",
  begin: (settings, { times, tables: { at = [], latent = [], time = [] } }) =>
    foretold(settings, { times, sensitivity: { at, latent, time } }),
};

/** The rule for latents from step to step. */
export function foretold(
  { threshold, start, longest }: Settings<typeof SETTINGS>,
  { times, sensitivity: { at, latent, time } }: {
    readonly times: readonly number[];
    readonly sensitivity: Sensitivity;
  },
): (step: number, numbers: Float32Array) => Decision {
  const strict = Math.round(STRICT_SHARE * times.length);
  let last: { readonly step: number; readonly numbers: Float32Array } | undefined; // that ran
  const errorAt = (step: number, numbers: Float32Array): number => {
    if (last === undefined) return Infinity;
    const [before, now] = [times[last.step]!, times[step]!]; // steps of the run
    const nearest = nearestTo(at, before);
    return latent[nearest]! * distance(numbers, last.numbers) +
      time[nearest]! * Math.abs(now - before); // as long as the times
  };
  return (step, numbers) => {
    const isNear = errorAt(step, numbers) < (step < strict ? start : threshold);
    if (isNear && step - last!.step <= longest) return "reuse"; // without a last one nothing is near
    last = { step, numbers };
    return "run";
  };
}

/** Index of the time that is nearest; the first of several. */
function nearestTo(at: readonly number[], wanted: number): number {
  const distances = at.map((time) => Math.abs(time - wanted));
  return distances.indexOf(Math.min(...distances));
}

/** Root mean square of a difference. */
export function distance(a: Float32Array, b: Float32Array): number {
  const sum = a.reduce((all, value, i) => all + (value - b[i]!) ** 2, 0); // of one shape
  return Math.sqrt(sum / a.length);
}
