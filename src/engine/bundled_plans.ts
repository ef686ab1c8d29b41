/**
 * The plans that come with the package, by name: `model.sampler+steps.level`.
 *
 * @module
 */

import ddim25Fast from "../../plans/fashion-dit.ddim25.fast.json" with { type: "json" };
import ddim50Fast from "../../plans/fashion-dit.ddim50.fast.json" with { type: "json" };
import ddim50Slow from "../../plans/fashion-dit.ddim50.slow.json" with { type: "json" };
import ddim50Turbo from "../../plans/fashion-dit.ddim50.turbo.json" with { type: "json" };
import { PlanError } from "../errors.ts";
import { oneOf } from "../nearest_names.ts";
import { planFromJson } from "../plan/parse.ts";
import type { Plan } from "../plan/plan.ts";
import { mayVisit } from "../sampler/solvers.ts";
import type { ModelFacts } from "./library.ts";

/** A plan and what it is called. */
export interface NamedPlan {
  /** Name of a bundled plan, or where its file lies. */
  readonly name: string;
  /** The plan. */
  readonly plan: Plan;
}

const FILES: Readonly<Record<string, unknown>> = {
  "fashion-dit.ddim25.fast": ddim25Fast,
  "fashion-dit.ddim50.fast": ddim50Fast,
  "fashion-dit.ddim50.slow": ddim50Slow,
  "fashion-dit.ddim50.turbo": ddim50Turbo,
};

/** The level that {@linkcode findPlan} takes. */
const DEFAULT_LEVEL = "fast";

/** Names of the bundled plans. */
export const bundledPlans: readonly string[] = Object.keys(FILES);

/**
 * Reads a bundled plan.
 *
 * ```ts
 * import { loadPlan } from "@invardiff/edge";
 *
 * const { rows, measured } = loadPlan("fashion-dit.ddim50.fast");
 * console.log(`${rows.length} steps, ${measured?.values["psnrDb"]} dB`);
 * ```
 *
 * @throws {PlanError} When there is none of that name.
 */
export function loadPlan(name: string): Plan {
  if (Object.hasOwn(FILES, name)) return planFromJson(FILES[name]);
  throw new PlanError(
    `Cannot load plan: name must be ${oneOf(bundledPlans, name)}: current value is ${name}`,
  );
}

/**
 * Finds the bundled plan for a model: made for its weights, its sampler and this many steps, and of
 * level `fast`. The other levels are for those who name them.
 *
 * ```ts ignore
 * const pipeline = await openPipeline();
 * const found = await findPlan(pipeline.model);
 * const { latents } = await pipeline.generate({ seed: 7, plan: found?.plan }); // in full if none fits
 * ```
 *
 * @param steps Sampling steps; the model's own unless given.
 * @returns `undefined` when no bundled plan fits.
 */
export async function findPlan(
  model: Pick<ModelFacts, "sampler" | "fingerprint">,
  steps: number = model.sampler.steps,
): Promise<NamedPlan | undefined> {
  const fingerprint = await model.fingerprint();
  return bundledPlans
    .filter((name) => name.endsWith(`.${DEFAULT_LEVEL}`))
    .map((name) => ({ name, plan: loadPlan(name) }))
    .find(({ plan: { fingerprints, sampler } }) =>
      fingerprints.includes(fingerprint) && sampler.name === model.sampler.name &&
      sampler.times.length === steps && mayVisit(model.sampler, sampler.times)
    );
}
