/**
 * The plans that come with the package, by name: `model.level`, and earlier ones, `model.level.number` or
 * `model.sampler+steps.level`.
 */

import ddim25Fast from "../../plans/earlier/fashion-dit.ddim25.fast.json" with { type: "json" };
import ddim50Fast from "../../plans/earlier/fashion-dit.ddim50.fast.json" with { type: "json" };
import ddim50Slow from "../../plans/earlier/fashion-dit.ddim50.slow.json" with { type: "json" };
import ddim50Turbo from "../../plans/earlier/fashion-dit.ddim50.turbo.json" with { type: "json" };
import fashion8x1 from "../../plans/earlier/fashion-dit.8x.1.json" with { type: "json" };
import peeps2x1 from "../../plans/earlier/peeps-flux.2x.1.json" with { type: "json" };
import peeps3x1 from "../../plans/earlier/peeps-flux.3x.1.json" with { type: "json" };
import peeps4x1 from "../../plans/earlier/peeps-flux.4x.1.json" with { type: "json" };
import fashion2x from "../../plans/fashion-dit.2x.json" with { type: "json" };
import fashion3x from "../../plans/fashion-dit.3x.json" with { type: "json" };
import fashion4x from "../../plans/fashion-dit.4x.json" with { type: "json" };
import fashion5x from "../../plans/fashion-dit.5x.json" with { type: "json" };
import fashion6x from "../../plans/fashion-dit.6x.json" with { type: "json" };
import fashion8x from "../../plans/fashion-dit.8x.json" with { type: "json" };
import peeps2x from "../../plans/peeps-flux.2x.json" with { type: "json" };
import peeps3x from "../../plans/peeps-flux.3x.json" with { type: "json" };
import peeps4x from "../../plans/peeps-flux.4x.json" with { type: "json" };
import { PlanError } from "../errors.ts";
import { oneOf } from "../nearest_names.ts";
import { planDigest } from "../plan/digest.ts";
import { choosePlan, type PlanOffer } from "../plan/choose.ts";
import { hasOneSlot } from "../plan/fit.ts";
import { planFromJson } from "../plan/parse.ts";
import type { Plan } from "../plan/plan.ts";
import type { SamplerDefaults } from "../sampler/config.ts";
import { mayVisit } from "../sampler/solvers.ts";
import { ownsTimes } from "./plan_sampler.ts";

/** A plan and what it is called. */
export interface NamedPlan {
  /** Name of a bundled plan, or where its file lies. */
  readonly name: string;
  /** The plan. */
  readonly plan: Plan;
}

const BUNDLED: Readonly<Record<string, unknown>> = {
  "fashion-dit.2x": fashion2x,
  "fashion-dit.3x": fashion3x,
  "fashion-dit.4x": fashion4x,
  "fashion-dit.5x": fashion5x,
  "fashion-dit.6x": fashion6x,
  "fashion-dit.8x": fashion8x,
  "peeps-flux.2x": peeps2x,
  "peeps-flux.3x": peeps3x,
  "peeps-flux.4x": peeps4x,
};
/** Replaced ones: no run takes them by itself, but pictures that were made with them can be made again. */
const EARLIER: Readonly<Record<string, unknown>> = {
  "fashion-dit.ddim25.fast": ddim25Fast,
  "fashion-dit.ddim50.fast": ddim50Fast,
  "fashion-dit.ddim50.slow": ddim50Slow,
  "fashion-dit.ddim50.turbo": ddim50Turbo,
  "fashion-dit.8x.1": fashion8x1,
  "peeps-flux.2x.1": peeps2x1,
  "peeps-flux.3x.1": peeps3x1,
  "peeps-flux.4x.1": peeps4x1,
};
const FILES: Readonly<Record<string, unknown>> = { ...BUNDLED, ...EARLIER };

/** What a plan is found by; an opened model is one. */
export interface PlannedModel {
  /** How it is sampled. */
  readonly sampler: SamplerDefaults;
  /** Its modules, if known: plans for others are passed over before weights are read for a fingerprint. */
  readonly transformer?: { readonly modules: readonly { readonly name: string }[] };
  /** Identity of its weights. */
  fingerprint(): Promise<string>;
}

/** Each file is read once. */
const loaded = new Map<string, Plan>();

/** Names of the bundled plans. */
export const bundledPlans: readonly string[] = Object.keys(BUNDLED);
/** Names of plans that were bundled and are replaced; they load by name, and nothing chooses them. */
export const earlierPlans: readonly string[] = Object.keys(EARLIER);

/** The plan of this digest among the bundled and the earlier ones, which may have had another name. */
export function planOfDigest(digest: string): NamedPlan | undefined {
  return Object.keys(FILES).map((name) => ({ name, plan: loadPlan(name) }))
    .find(({ plan }) => planDigest(plan) === digest);
}

/**
 * Reads a bundled plan, or an earlier one.
 *
 * ```ts
 * import { loadPlan } from "@invardiff/edge";
 *
 * const { rows, measured } = loadPlan("fashion-dit.3x");
 * console.log(`${rows.length} steps, ${measured?.values["truthPsnrDb"]} dB`);
 * ```
 *
 * @throws {PlanError} When there is none of that name.
 */
export function loadPlan(name: string): Plan {
  const known = loaded.get(name);
  if (known !== undefined) return known;
  if (Object.hasOwn(FILES, name)) {
    const plan = planFromJson(FILES[name]);
    loaded.set(name, plan);
    return plan;
  }
  throw new PlanError(
    `Cannot load plan: name must be ${oneOf(bundledPlans, name)}: current value is ${name}`,
  );
}

/**
 * Finds the bundled plan that `plan: "auto"` follows: made for a model's weights, its sampler and this many
 * steps, of level `4x`, `3x` or `fast` if there is one.
 *
 * @param steps Sampling steps, if they were asked for: then no plan fits that has times of its own.
 * @returns `undefined` when no bundled plan fits.
 */
export async function findPlan(
  model: PlannedModel,
  steps?: number,
): Promise<NamedPlan | undefined> {
  const usual = model.sampler.steps;
  const choose = (plans: readonly NamedPlan[]): NamedPlan | undefined =>
    choosePlan(plans, { word: "auto", steps, usual, offerOf });
  return choose(await plansFor(model, (each) => choose([each]) !== undefined));
}

/** Bundled plans that were made for a model's weights and its sampler, as far as they are wanted. */
export async function plansFor(
  model: PlannedModel,
  isWanted: (plan: NamedPlan) => boolean = () => true,
): Promise<readonly NamedPlan[]> {
  const modules = model.transformer?.modules.map(({ name }) => name);
  const visited = bundledPlans.map((name) => ({ name, plan: loadPlan(name) }))
    .filter((each) =>
      isWanted(each) && visits(each.plan, model.sampler) &&
      (modules === undefined || `${each.plan.modules}` === `${modules}`)
    );
  if (visited.length === 0) return []; // before the weights are read for their fingerprint
  const fingerprint = await model.fingerprint();
  return visited.filter(({ plan }) => plan.fingerprints.includes(fingerprint));
}

/** Whether a plan was made for these weights and this sampler; its number of steps is another matter. */
export function suits(
  plan: Plan,
  { fingerprint, sampler }: { readonly fingerprint: string; readonly sampler: SamplerDefaults },
): boolean {
  return plan.fingerprints.includes(fingerprint) && visits(plan, sampler);
}

function visits(plan: Plan, sampler: SamplerDefaults): boolean {
  const { name, times } = plan.sampler;
  if (name !== sampler.name || !hasOneSlot(plan)) return false;
  return ownsTimes(plan) || mayVisit(sampler, times);
}

/** What the rule of choice looks at. */
export function offerOf({ name, plan }: NamedPlan): PlanOffer {
  return { name, steps: plan.sampler.times.length, ownsTimes: ownsTimes(plan) };
}
