/**
 * MagCache: reuse the trunk's residual while what its magnitude is known to change by, step after step, adds up to
 * little. The ratios of magnitudes depend so little on the prompt that they are measured once; then the rule needs
 * nothing of a run, so it is a plan.
 *
 * *Source:* arXiv 2506.09045 and its published code (Zehong-Ma/MagCache); the ratios as diffusers' `MagCacheHook`.
 */

import { PlanError } from "../../errors.ts";
import { type Row, STATE_ROWS } from "../../plan/row.ts";
import { roundHalfEven } from "../../sampler/noise_schedule.ts";
import { expectModel, type Policy } from "./policy.ts";
import { recordMagnitudeRatios } from "./magnitude_ratios.ts";
import { rowsWhere } from "./rows.ts";

const SETTINGS = {
  threshold: { words: "most that errors of a stretch add up to", or: 0.24, least: 0 },
  longest: { words: "most steps that are reused in a row", or: 5, least: 0, whole: true },
  warmup: {
    words: "share of the steps that is never reused at the start",
    or: 0.1,
    least: 0,
    most: 1,
  },
  strict: {
    words: "1 where errors must stay below the threshold, as for Wan and Qwen",
    or: 0,
    least: 0,
    most: 1,
    whole: true,
  },
  forced: {
    words: "a step of 28 that is always computed, 11 in the scripts for FLUX; 0 = none",
    or: 0,
    least: 0,
    most: 27,
    whole: true,
  },
  branches: {
    words: "lists that take turns in a file: 2 where each guided half has its own",
    or: 1,
    least: 1,
    most: 2,
    whole: true,
  },
} as const;

/** What the rule goes by. */
export type MagCacheSettings = { readonly [K in keyof typeof SETTINGS]: number };

/** The policy. */
export const MAGCACHE: Policy<typeof SETTINGS> = {
  words: "reuse the residual while its magnitude hardly changes",
  settings: SETTINGS,
  record: async (task, settings) => {
    const ratios = await recordMagnitudeRatios(task);
    const { length } = task.pipeline.model.transformer.modules;
    return {
      rows: rowsOf(magCacheReuse(ratios, settings), length),
      recorded: Object.fromEntries(ratios.map((ratio, step) => [`ratio.${step}`, ratio])),
    };
  },
  read: async (file, settings, { sampler, model }) => {
    const { architecture, modules } = expectModel(model, "magcache");
    const lists = separate(readRatios(await file.json()), settings.branches);
    const { length: steps } = sampler.times;
    const choices = lists.map((list) => magCacheReuse(nearestRatios(list, steps), settings));
    const reused = choices[0]!.map((_, step) => choices.every((choice) => choice[step]!)); // one list at least
    return { architecture, modules, rows: rowsOf(reused, modules.length) };
  },
};

/**
 * Which steps load the residual of the last computed one.
 *
 * @param ratios By step: magnitude over that of the step before; the first is not looked at.
 */
export function magCacheReuse(
  ratios: readonly number[],
  { threshold, longest, warmup, strict, forced }: MagCacheSettings,
): readonly boolean[] {
  const { length } = ratios;
  const start = Math.max(1, Math.trunc(warmup * length + 0.5)); // there is nothing to load at the first step
  const isForced = (step: number): boolean =>
    forced > 0 && roundHalfEven(step * 27 / (length - 1)) === forced;
  let [product, error, reused] = [1, 0, 0];
  return ratios.map((ratio, step) => {
    if (step < start) return false;
    product *= ratio;
    error += Math.abs(1 - product);
    reused++;
    const isSmall = strict === 1 ? error < threshold : error <= threshold;
    if (isSmall && reused <= longest && !isForced(step)) return true;
    [product, error, reused] = [1, 0, 0];
    return false;
  });
}

/** Ratios for another number of steps: those nearest, rounded as published scripts do; of one step, the last. */
export function nearestRatios(ratios: readonly number[], steps: number): readonly number[] {
  const stride = steps === 1 ? 0 : (ratios.length - 1) / (steps - 1);
  const index = (step: number): number =>
    steps === 1 ? ratios.length - 1 : roundHalfEven(step * stride);
  return Array.from({ length: steps }, (_, step) => ratios[index(step)]!); // within
}

function rowsOf(reused: readonly boolean[], modules: number): readonly Row[] {
  const computed = reused.map((each) => !each);
  return rowsWhere(computed, { modules, other: STATE_ROWS.residual });
}

/** Lists that stand in one, taking turns. */
function separate(ratios: readonly number[], branches: number): readonly (readonly number[])[] {
  if (ratios.length % branches !== 0) {
    refuse("ratios", "as many of each half", ratios.length);
  }
  return Array.from(
    { length: branches },
    (_, branch) => ratios.filter((_, i) => i % branches === branch),
  );
}

function readRatios(value: unknown): readonly number[] {
  if (!Array.isArray(value) || value.length === 0) {
    refuse("it", "a list of ratios, the first of them 1", JSON.stringify(value)?.slice(0, 60));
  }
  return value.map((ratio: unknown, step) =>
    typeof ratio === "number" && ratio > 0 && ratio < Infinity
      ? ratio
      : refuse(`ratio ${step}`, "a number above 0", ratio)
  );
}

function refuse(what: string, wanted: string, current: unknown): never {
  throw new PlanError(
    `Cannot import magnitude ratios: ${what} must be ${wanted}: current value is ${current}`,
  );
}
