/**
 * The sigmas that a flow-matching model visits, from noise at 1 to a picture at 0.
 *
 * *Source:* diffusers `FlowMatchEulerDiscreteScheduler`, as `FluxPipeline` uses it. Arithmetic is float32 in
 * its order.
 */

import type { SigmaShift } from "./config.ts";
import { checkSteps, TRAIN_STEPS } from "./noise_schedule.ts";

/** A schedule in inference order. */
export interface FlowSchedule {
  /** Sigma before each step, then the one after the last. */
  readonly sigmas: readonly number[];
  /** Time given to the model at each step, 0 … 1. */
  readonly times: readonly number[];
}

export interface FlowOptions {
  readonly shift: SigmaShift;
  readonly tokens: number;
}

/** How sigmas are shifted where a model says nothing of it. */
export const NO_SHIFT: SigmaShift = { kind: "static", shift: 1 };

const { fround } = Math;

/** Sigmas 1 … 1/steps, evenly spaced, before they are shifted. *Source:* `FluxPipeline`. */
export function evenSigmas(steps: number): readonly number[] {
  checkSteps(steps);
  const last = 1 / steps;
  const stride = steps === 1 ? 0 : (last - 1) / (steps - 1);
  return Array.from({ length: steps }, (_, i) => i === steps - 1 && i > 0 ? last : 1 + i * stride);
}

/**
 * Shifts sigmas and puts 0 after them.
 *
 * @throws {RangeError} When sigmas are none, outside of 0 … 1, or not falling.
 */
export function flowSchedule(
  sigmas: readonly number[],
  { shift, tokens }: FlowOptions,
): FlowSchedule {
  checkSigmas(sigmas);
  const shifted = sigmas.map((sigma) =>
    shift.kind === "static"
      ? shiftStatic(fround(sigma), shift.shift)
      : shiftDynamic(fround(sigma), shiftExponent(shift, tokens))
  );
  return {
    sigmas: [...shifted, 0],
    times: shifted.map((sigma) => fround(fround(sigma * TRAIN_STEPS) / TRAIN_STEPS)),
  };
}

/** The factor s of a shift σ → sσ ÷ (1 + (s − 1)σ), for a picture of this many tokens. */
export function shiftFactor(shift: SigmaShift | undefined, tokens: number): number {
  if (shift === undefined) return 1;
  return shift.kind === "static" ? shift.shift : Math.exp(shiftExponent(shift, tokens));
}

/** The exponent mu for a picture of this many tokens. *Source:* diffusers `calculate_shift`. */
export function shiftExponent(
  { baseShift, maxShift, baseTokens, maxTokens }: Extract<SigmaShift, { kind: "dynamic" }>,
  tokens: number,
): number {
  const slope = (maxShift - baseShift) / (maxTokens - baseTokens);
  return tokens * slope + (baseShift - slope * baseTokens);
}

function shiftStatic(sigma: number, shift: number): number {
  const below = fround(1 + fround(fround(shift - 1) * sigma));
  return fround(fround(fround(shift) * sigma) / below);
}

function shiftDynamic(sigma: number, exponent: number): number {
  const factor = fround(Math.exp(exponent));
  const odds = fround(fround(1 / sigma) - 1);
  return fround(factor / fround(factor + odds));
}

function checkSigmas(sigmas: readonly number[]): void {
  const wrong = sigmas.findIndex((sigma, i) =>
    !(sigma > 0 && sigma <= 1 && (i === 0 || sigma < sigmas[i - 1]!))
  );
  if (wrong < 0 && sigmas.length > 0) return;
  throw new RangeError(
    `Cannot make flow schedule: sigmas must fall from at most 1 to above 0: current value is ${
      sigmas.length === 0 ? "none" : `${sigmas[wrong]} at step ${wrong}`
    }`,
  );
}
