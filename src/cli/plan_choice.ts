/**
 * Which plan a run follows: the one that was asked for, or the bundled one that fits.
 *
 * @module
 */

import type { NamedPlan } from "../engine/bundled_plans.ts";
import { PlanError } from "../errors.ts";
import { planDigest } from "../plan/digest.ts";
import { readPlan } from "./plan_file.ts";

/** What `--plan` and a repeated picture say. */
export interface PlanWish {
  /** `auto`, `none`, the name of a bundled plan, or a file. */
  readonly plan: string;
  /** Digest of the plan that made the picture to repeat. */
  readonly planDigest?: string;
  /** Sampling steps; absent is the plan's or the model's number. */
  readonly steps?: number;
}

/**
 * Reads the plan that was asked for; `undefined` for `auto` and `none`.
 *
 * @throws {AssetError | PlanError} When it cannot be read, or is not the one to repeat.
 */
export async function readWantedPlan(
  { plan: word, planDigest: wanted }: PlanWish,
): Promise<NamedPlan | undefined> {
  if (word === "auto" || word === "none") return undefined;
  const named = await readPlan(word);
  const digest = planDigest(named.plan);
  if (wanted === undefined || wanted === digest) return named;
  throw new PlanError(
    `Cannot repeat the picture: plan ${word} must have digest ${wanted}: current value is ${digest}`,
  );
}
