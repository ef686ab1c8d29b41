/**
 * A noise schedule at any times, whole or not: what a plan that owns its times visits.
 */

import type { NoiseSpacing } from "./config.ts";
import { type NoiseSchedule, TRAIN_STEPS, trainedAlphaBars } from "./noise_schedule.ts";
import { trainedShares } from "./trained_noise.ts";

/**
 * The schedule that visits these times. Between two whole times of training the logarithm of signal to noise,
 * ln(ᾱ ÷ (1 − ᾱ)), is straight; at whole times ᾱ is that of training.
 *
 * @param spacing Diffusers' betas; the original's unless given.
 * @throws {RangeError} When times are none, outside of 0 … 999, or not falling.
 */
export function scheduleAt(times: readonly number[], spacing?: NoiseSpacing): NoiseSchedule {
  checkTimes(times);
  const trained = trainedOf(spacing);
  const last = spacing?.endsAtOne === false ? trained[0]! : 1;
  const alphaBars = times.map((time) => alphaBarAt(time, trained));
  return { times, alphaBars, alphaBarsNext: [...alphaBars.slice(1), last] };
}

/** Times half-way between even ones and those of even log-SNR, from 999 to 0: at least two. */
export function mixedTimes(count: number, spacing?: NoiseSpacing): readonly number[] {
  const logits = trainedOf(spacing).map(logitOf);
  const [first, last] = [logits[0]!, logits.at(-1)!]; // there are a thousand
  return Array.from({ length: count }, (_, i) => {
    const part = i / (count - 1);
    const even = (TRAIN_STEPS - 1) * (1 - part);
    return (even + timeOfLogit(last + part * (first - last), logits)) / 2;
  });
}

/** The time between those of training that has this log-SNR. */
function timeOfLogit(logit: number, logits: readonly number[]): number {
  const above = logits.findIndex((value) => value <= logit); // they fall
  if (above === 0) return 0;
  if (above < 0) return logits.length - 1;
  const [noisier, cleaner] = [logits[above]!, logits[above - 1]!];
  return above - (logit - noisier) / (cleaner - noisier);
}

/** ᾱ at a time in 0 … 999. */
function alphaBarAt(time: number, trained: readonly number[]): number {
  const below = Math.floor(time);
  const alphaBar = trained[below]!; // checked before
  if (below === time) return alphaBar;
  const part = time - below;
  const logit = (1 - part) * logitOf(alphaBar) + part * logitOf(trained[below + 1]!);
  return 1 / (1 + Math.exp(-logit));
}

function trainedOf(spacing: NoiseSpacing | undefined): readonly number[] {
  return spacing === undefined ? trainedAlphaBars() : trainedShares(spacing.betas);
}

function logitOf(alphaBar: number): number {
  return Math.log(alphaBar / (1 - alphaBar));
}

function checkTimes(times: readonly number[]): void {
  const wrong = times.findIndex((time, step) =>
    !(time >= 0 && time <= TRAIN_STEPS - 1 && (step === 0 || time < times[step - 1]!))
  );
  if (wrong < 0 && times.length > 0) return;
  throw new RangeError(
    `Cannot make schedule: times must fall from at most ${
      TRAIN_STEPS - 1
    } to at least 0: current value is ${
      times.length === 0 ? "none" : `${times[wrong]} at step ${wrong}`
    }`,
  );
}
