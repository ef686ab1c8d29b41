/**
 * The list of plans: one is followed, which brings its steps.
 */

import type { PlanView } from "./contract.ts";
import { byId, make } from "./dom.ts";
import {
  autoFacts,
  type ChoiceOptions,
  orderPlans,
  planLine,
  planOfChoice,
} from "./plan_choice.ts";

/** The fieldset of plans. */
export class PlanListView {
  readonly #plans = byId("plans", HTMLElement);
  #options: ChoiceOptions = { steps: 1, usual: 1, plans: [] };

  /** `onChoose` is called when a person chooses another. */
  constructor(readonly onChoose: () => void) {}

  /** `auto`, `none`, or a plan's id. */
  get choice(): string {
    return this.#plans.querySelector<HTMLInputElement>(":checked")?.value ?? "auto";
  }

  /** The plan that is followed for so many steps. */
  planFor(steps: number): PlanView | undefined {
    return planOfChoice(this.choice, { ...this.#options, steps });
  }

  /** A plan's name, which no other in the list has. */
  nameOf(plan: PlanView): string {
    return planLine(plan, this.#options.plans).name;
  }

  /** Lists plans, `chosen` chosen where it is among them. */
  show(options: ChoiceOptions, chosen: string): void {
    this.#options = options;
    const { plans, steps } = options;
    const lines = [
      { id: "auto", name: "Automatic", facts: autoFacts(options) },
      ...orderPlans(plans, steps).map((plan) => ({ id: plan.id, ...planLine(plan, plans) })),
      { id: "none", name: "None", facts: "every step computed" },
    ];
    const own = lines.some(({ id }) => id === chosen) ? chosen : "auto";
    this.#plans.replaceChildren(...lines.map(({ id, name, facts }) => {
      const input = radio("plan", id, id === own);
      input.addEventListener("input", this.onChoose);
      return make("label", {}, input, make("span", {}, name, make("small", {}, facts)));
    }));
    const hasFigures = lines.some(({ facts }) => facts.endsWith(" dB"));
    byId("plan-hint", HTMLElement).hidden = !hasFigures;
  }
}

/** A radio button. */
export function radio(name: string, value: string, checked: boolean): HTMLInputElement {
  const input = make("input", { type: "radio", name, value });
  input.checked = checked;
  return input;
}
