/**
 * The steps that diffusers' DDIM visits: trained times are kept, betas are not derived anew.
 *
 * *Source:* diffusers `DDIMScheduler.set_timesteps()` and `step()`.
 */

import type { NoiseSpacing } from "./config.ts";
import { checkSteps, type NoiseSchedule, roundHalfEven, TRAIN_STEPS } from "./noise_schedule.ts";
import { trainedShares } from "./trained_noise.ts";

/**
 * Spaces `steps` steps over the 1000 of training.
 *
 * @throws {RangeError} When steps is not an integer in 1 … 1000, or an offset leads beyond the last time.
 */
export function spacedSchedule(steps: number, spacing: NoiseSpacing): NoiseSchedule {
  checkSteps(steps);
  const trained = trainedShares(spacing.betas);
  const times = timesOf(steps, spacing);
  if (times[0]! >= TRAIN_STEPS) { // there is at least one step
    throw new RangeError(
      `Cannot make noise schedule: the first time must be below ${TRAIN_STEPS} (fewer steps, or no ` +
        `offset): current value is ${times[0]}`,
    );
  }
  const stride = Math.floor(TRAIN_STEPS / steps);
  const last = spacing.endsAtOne ? 1 : trained[0]!;
  return {
    times,
    alphaBars: times.map((time) => trained[time]!),
    alphaBarsNext: times.map((time) => trained[time - stride] ?? last),
  };
}

/** Falling times. */
function timesOf(steps: number, { kind, offset }: NoiseSpacing): readonly number[] {
  const rising = Array.from({ length: steps }, (_, i) => i);
  switch (kind) {
    case "leading":
      return rising.map((i) => i * Math.floor(TRAIN_STEPS / steps) + offset).toReversed();
    case "trailing":
      return rising.map((i) => roundHalfEven(TRAIN_STEPS - i * (TRAIN_STEPS / steps)) - 1);
    case "linspace":
      return rising.map((i) =>
        roundHalfEven(steps === 1 ? 0 : i * ((TRAIN_STEPS - 1) / (steps - 1)))
      ).toReversed();
    default:
      throw new RangeError(
        `Cannot make noise schedule: spacing of ddim must be leading, trailing or linspace: ` +
          `current value is ${kind}`,
      );
  }
}
