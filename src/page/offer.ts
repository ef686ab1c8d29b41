/**
 * What the server offers, and what stands for what there.
 */

import type { CapabilitiesView, ModelView, PlanView } from "./contract.ts";
import type { RunRequest } from "./run.ts";

/** What there is to ask for. */
export interface Offer {
  /** Its models; at least one. */
  readonly models: readonly ModelView[];
  readonly plans: readonly PlanView[];
  readonly capabilities: CapabilitiesView;
}

/** A model by its id, or the first. */
export function modelOf({ models }: Pick<Offer, "models">, id: string | undefined): ModelView {
  return models.find((model) => model.id === id) ?? models[0]!; // at least one
}

/** The plan of an id. */
export function planOf({ plans }: Offer, id: string | undefined): PlanView | undefined {
  return plans.find((plan) => plan.id === id);
}

/** Steps of the full run that a request stands for: the model's own where its plan's times are its own. */
export function stepsInFull({ model, plan, steps }: RunRequest, offer: Offer): number {
  return planOf(offer, plan)?.owns_times ? modelOf(offer, model).sampler.steps : steps;
}
