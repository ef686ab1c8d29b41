/**
 * The diffusion process that DiT was trained with, and the part of it that a sampler visits.
 *
 * *Source:* DiT `diffusion/respace.py` and `gaussian_diffusion.py` (linear betas).
 */

export const TRAIN_STEPS = 1000;
const BETA_FIRST = 1e-4;
const BETA_LAST = 0.02;

/** A respaced process, in inference order: index 0 is the noisiest step. */
export interface NoiseSchedule {
  /** Timesteps given to the model, falling. */
  readonly times: readonly number[];
  /** ᾱ at each step: the share of signal variance. */
  readonly alphaBars: readonly number[];
  /** ᾱ after each step; 1 after the last. */
  readonly alphaBarsNext: readonly number[];
}

/**
 * Respaces the 1000-step linear schedule to `steps` evenly spaced steps from 999 down to 0.
 *
 * @throws {RangeError} When steps is not an integer in 1 … 1000.
 */
export function linearSchedule(steps: number): NoiseSchedule {
  checkSteps(steps);
  const rising = respace(steps);
  const alphaBars = respacedAlphaBars(rising);
  return {
    times: rising.toReversed(),
    alphaBars: alphaBars.toReversed(),
    alphaBarsNext: [1, ...alphaBars.slice(0, -1)].toReversed(),
  };
}

/** Every schedule visits some of the times of training. */
export function checkSteps(steps: number): void {
  if (Number.isInteger(steps) && steps >= 1 && steps <= TRAIN_STEPS) return;
  throw new RangeError(
    `Cannot make schedule: steps must be an integer in 1 … ${TRAIN_STEPS}: current value is ${steps}`,
  );
}

/** *Source:* `space_timesteps(1000, str(steps))`; rounding is half to even, as Python's. */
function respace(steps: number): number[] {
  const stride = steps === 1 ? 1 : (TRAIN_STEPS - 1) / (steps - 1);
  let position = 0;
  return Array.from({ length: steps }, () => {
    const time = roundHalfEven(position);
    position += stride;
    return time;
  });
}

/** ᾱ of the process whose betas are derived from the visited ᾱ, as the original does. */
function respacedAlphaBars(times: readonly number[]): number[] {
  const trained = trainedAlphaBars();
  let previous = 1;
  let product = 1;
  return times.map((time) => {
    const beta = 1 - trained[time]! / previous; // times are below TRAIN_STEPS
    previous = trained[time]!;
    product *= 1 - beta;
    return product;
  });
}

/** ᾱ of every time of training. */
export function trainedAlphaBars(): number[] {
  let product = 1;
  return Array.from({ length: TRAIN_STEPS }, (_, time) => {
    const beta = BETA_FIRST + (BETA_LAST - BETA_FIRST) * time / (TRAIN_STEPS - 1);
    product *= 1 - beta;
    return product;
  });
}

/** To the nearest integer; halves to the even one, as Python and NumPy round. */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}
