/**
 * What a server offers: its models, and for each the plans that fit it.
 */

import { type NamedPlan, offerOf, suits } from "../engine/bundled_plans.ts";
import { choosePlan } from "../plan/choose.ts";
import { oneOf } from "../nearest_names.ts";
import { type CompiledPlan, compilePlan } from "../plan/compile.ts";
import { predictSpeedup } from "../plan/cost.ts";
import { planDigest } from "../plan/digest.ts";
import type { RendererFacts } from "../worker/renderer.ts";
import { RequestError } from "./request_error.ts";

/** A plan as it is served. */
export interface ServedPlan extends NamedPlan, CompiledPlan {
  /** Its plan, compiled once. */
  readonly plan: NamedPlan["plan"];
  /** Equal for plans that make equal pictures. */
  readonly digest: string;
}

/** A model as it is served. */
export interface ServedModel {
  /** What its renderer says of it. */
  readonly facts: RendererFacts;
  /** Plans made for its weights and its sampler. */
  readonly plans: readonly ServedPlan[];
}

/** Models in the order in which they were given, and all plans. */
export interface Catalog {
  /** The first is the one that is taken when none is named. */
  readonly models: readonly ServedModel[];
  /** Also those that fit no model here. */
  readonly plans: readonly ServedPlan[];
  /** When it was made, in Unix seconds. */
  readonly created: number;
}

/** Makes the catalog of these models and plans. */
export function makeCatalog(
  models: readonly RendererFacts[],
  plans: readonly NamedPlan[],
): Catalog {
  const served = plans.map(servedPlan);
  const distinct = new Map(models.map((facts) => [facts.id, facts]));
  return {
    models: [...distinct.values()].map((facts) => ({
      facts,
      plans: served.filter(({ plan }) => suits(plan, facts)),
    })),
    plans: served,
    created: Math.floor(Date.now() / 1000),
  };
}

function servedPlan({ name, plan }: NamedPlan): ServedPlan {
  const { steps, maxStaleness } = compilePlan(plan);
  return { name, plan, digest: planDigest(plan), steps, maxStaleness };
}

/**
 * A model by its id, or the first.
 *
 * @throws {RequestError} 404 when there is none of that id.
 */
export function findServedModel({ models }: Catalog, id: string | undefined): ServedModel {
  const found = id === undefined ? models[0] : models.find(({ facts }) => facts.id === id);
  if (found !== undefined) return found;
  const known = oneOf(models.map(({ facts }) => facts.id), `${id}`);
  throw new RequestError(
    `Cannot find model: model must be ${known}: current value is ${id}`,
    { status: 404, code: "model_not_found", param: "model" },
  );
}

/**
 * A plan by its id.
 *
 * @throws {RequestError} 404 when there is none of that id.
 */
export function findServedPlan({ plans }: Pick<Catalog, "plans">, id: string): ServedPlan {
  const found = plans.find(({ name }) => name === id);
  if (found !== undefined) return found;
  const known = oneOf(plans.map(({ name }) => name), id);
  throw new RequestError(`Cannot find plan: plan must be ${known}: current value is ${id}`, {
    status: 404,
    code: "plan_not_found",
    param: "plan",
  });
}

/**
 * The plan that a request follows; `undefined` when everything runs.
 *
 * @throws {RequestError} 404 when there is none of that id, 400 when it does not fit the model or the steps.
 */
export function requestedPlan(
  catalog: Catalog,
  { facts, plans }: ServedModel,
  { word, steps }: { readonly word: string; readonly steps: number | undefined },
): ServedPlan | undefined {
  if (word === "none" || word === "auto") {
    return choosePlan(plans, { word, steps, usual: facts.sampler.steps, offerOf });
  }
  const plan = findServedPlan(catalog, word);
  if (!plans.includes(plan)) {
    misfit("model", plan.plan.fingerprints.join(" or "), facts.fingerprint);
  }
  if (steps !== undefined && steps !== plan.steps.length) misfit("steps", plan.steps.length, steps);
  return plan;
}

function misfit(param: string, wanted: unknown, given: unknown): never {
  throw new RequestError(`Cannot use plan: ${param} must be ${wanted}: current value is ${given}`, {
    code: "plan_does_not_fit",
    param,
  });
}

/** A plan in brief; null when everything runs. */
export function planView(
  plan: ServedPlan | undefined,
  { facts }: ServedModel,
): Readonly<Record<string, unknown>> | null {
  if (plan === undefined) return null;
  const { name: id, digest } = plan;
  return { id, digest, predicted_speedup: predictSpeedup(plan, facts.cost) };
}
