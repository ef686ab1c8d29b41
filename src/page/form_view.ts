/**
 * The form: what is asked for, and what there is to ask for.
 */

import { searchClasses } from "./class_search.ts";
import type { CapabilitiesView, ModelView, PlanView } from "./contract.ts";
import { byId, make, setText } from "./dom.ts";
import { formatCount } from "./format.ts";
import {
  autoFacts,
  type ChoiceOptions,
  orderPlans,
  planLine,
  planOfChoice,
} from "./plan_choice.ts";
import { EditView } from "./edit_view.ts";
import type { Linked } from "./link.ts";
import { PromptView } from "./prompt_view.ts";
import type { RunRequest } from "./run.ts";

/** What the server offers. */
export interface Offer {
  /** Its models; at least one. */
  readonly models: readonly ModelView[];
  readonly plans: readonly PlanView[];
  readonly capabilities: CapabilitiesView;
}

/** Where pictures are made. */
export type Place = "server" | "browser";

/** With more classes than this there is a search field, and no more than this are listed. */
const LISTED = 24;
const DICE = 1_000_000;

/** The form's fields. */
export class FormView {
  readonly #model = byId("model", HTMLSelectElement);
  readonly #search = byId("class-search", HTMLInputElement);
  readonly #list = byId("class-list", HTMLElement);
  readonly #seed = byId("seed", HTMLInputElement);
  readonly #steps = byId("steps", HTMLInputElement);
  readonly #guidance = byId("guidance", HTMLInputElement);
  readonly #plans = byId("plans", HTMLElement);
  readonly #form = byId("form", HTMLFormElement);
  readonly #prompt = new PromptView({
    onChange: () => this.#changed(),
    onGo: () => this.#form.requestSubmit(),
    onSurprise: () => {
      this.#roll();
      this.#form.requestSubmit();
    },
  });
  readonly #edit = new EditView(() => this.#changed());
  #label = 0;

  /** Fills the fields; `onChange` is called after every change. */
  constructor(readonly offer: Offer, readonly onChange: () => void) {
    const { models, capabilities } = offer;
    this.#model.append(...models.map(({ id }) => make("option", { value: id }, id)));
    byId("model-field", HTMLElement).hidden = models.length < 2;
    this.#steps.max = `${capabilities.limits.steps}`;
    this.#model.addEventListener("change", () => this.#showModel());
    this.#search.addEventListener("input", () => this.#showClasses());
    this.#steps.addEventListener("change", () => this.#freePlan());
    byId("dice", HTMLButtonElement).addEventListener("click", () => this.#roll());
    this.#form.addEventListener("input", () => this.#changed());
    byId("settings", HTMLDetailsElement).open = matchMedia("(min-width: 861px)").matches;
    this.#showModel();
  }

  get model(): ModelView {
    return this.offer.models.find(({ id }) => id === this.#model.value) ?? this.offer.models[0]!; // at least one
  }

  /** What the picture will show, in a few words. */
  get title(): string {
    const { takes_prompts, classes } = this.model;
    if (!takes_prompts) return classes[this.#label]?.name ?? `${this.#label}`;
    return this.#prompt.value.trim() || "Nothing said";
  }

  /** The plan that a run would follow. */
  get plan(): PlanView | undefined {
    return planOfChoice(this.#checked("plan", "auto"), this.#choice);
  }

  /** Steps, as far as the field holds a number. */
  get steps(): number {
    return this.#steps.valueAsNumber || this.model.sampler.steps;
  }

  /** The seed, as far as the field holds one. */
  get seed(): number {
    const seed = this.#seed.valueAsNumber;
    return Number.isSafeInteger(seed) && seed >= 0 ? seed : 0;
  }

  /** Where the picture is made. */
  get place(): Place {
    return this.#checked("place", "server") === "browser" ? "browser" : "server";
  }

  /** Whether the picture is also made in full, to compare. */
  get compares(): boolean {
    return byId("compare", HTMLInputElement).checked;
  }

  /** What is asked for. */
  read(): RunRequest {
    return {
      model: this.model.id,
      ...(this.model.takes_prompts ? { prompt: this.#prompt.value } : { label: this.#label }),
      seed: this.seed,
      steps: this.plan?.steps ?? this.steps,
      guidance: this.model.guidable ? this.#guidance.valueAsNumber : 1,
      plan: this.plan?.id,
      edit: this.#edit.value,
    };
  }

  /** Begins from a picture from now on. */
  beginFrom(image: Blob): void {
    this.#edit.take(image);
  }

  /** Puts a request, or what a link says of one, into the fields; what it leaves out is the model's own. */
  write({ model, label = 0, prompt, seed, steps, guidance, plan = "auto", edit }: Linked): void {
    const isKnown = this.offer.models.some(({ id }) => id === model);
    if (isKnown && this.#model.value !== model) {
      this.#model.value = model!;
      this.#showModel();
    }
    const { sampler } = this.model;
    this.#label = label;
    this.#edit.value = edit;
    if (prompt !== undefined) this.#prompt.value = prompt;
    if (seed !== undefined) this.#seed.value = `${seed}`;
    this.#steps.value = `${steps ?? sampler.steps}`;
    this.#guidance.value = `${guidance ?? sampler.guidance}`;
    this.#showClasses();
    this.#showPlans(plan === "none" || this.#fitting.some(({ id }) => id === plan) ? plan : "auto");
    this.#changed();
  }

  get #choice(): ChoiceOptions {
    return { steps: this.steps, usual: this.model.sampler.steps, plans: this.#fitting };
  }

  get #fitting(): readonly PlanView[] {
    return this.offer.plans.filter(({ id }) => this.model.plans.includes(id));
  }

  #showModel(): void {
    const { sampler, classes, guidable, takes_prompts, edits } = this.model;
    for (const id of ["prompting", "surprise", "words"]) {
      byId(id, HTMLElement).hidden = !takes_prompts;
    }
    byId("classes", HTMLElement).hidden = takes_prompts;
    if (takes_prompts) this.#prompt.show(this.model);
    this.#edit.offered = edits;
    this.#steps.value = `${sampler.steps}`;
    this.#guidance.value = `${sampler.guidance}`;
    byId("guidance-field", HTMLElement).hidden = !guidable;
    this.#search.hidden = classes.length <= LISTED;
    this.#search.value = "";
    this.#label = 0;
    this.#showClasses();
    this.#showPlans("auto");
    this.#changed();
  }

  #showClasses(): void {
    const found = searchClasses(this.model.classes, this.#search.value).slice(0, LISTED);
    this.#list.replaceChildren(...found.map(({ label, name }) => {
      const input = radio("class", `${label}`, label === this.#label);
      input.addEventListener("input", () => this.#label = label);
      return make("label", {}, input, make("span", {}, name));
    }));
    if (found.length === 0) this.#list.append("No class has these letters.");
  }

  #showPlans(chosen: string): void {
    const lines = [
      {
        id: "auto",
        name: "Automatic",
        facts: autoFacts(this.#choice),
      },
      ...orderPlans(this.#fitting, this.steps).map((plan) => ({ id: plan.id, ...planLine(plan) })),
      { id: "none", name: "None", facts: "every step computed" },
    ];
    this.#plans.replaceChildren(...lines.map(({ id, name, facts }) => {
      const input = radio("plan", id, id === chosen);
      input.addEventListener("input", () => this.#takeSteps());
      return make("label", {}, input, make("span", {}, name, make("small", {}, facts)));
    }));
  }

  /** A plan brings its steps. */
  #takeSteps(): void {
    const { plan } = this;
    if (plan !== undefined) this.#steps.value = `${plan.steps}`;
  }

  /** Other steps than the plan's give the choice back. */
  #freePlan(): void {
    const { plan } = this;
    this.#showPlans(
      plan === undefined || plan.steps === this.steps ? this.#checked("plan", "auto") : "auto",
    );
    this.#changed();
  }

  #roll(): void {
    this.#seed.value = `${crypto.getRandomValues(new Uint32Array(1))[0]! % DICE}`; // one was asked for
    this.#changed();
  }

  #changed(): void {
    const { plan, seed } = this;
    const steps = plan?.steps ?? this.steps;
    setText(byId("guidance-value", HTMLElement), this.#guidance.value);
    this.#edit.showStrength();
    const brief = `seed ${seed} · ${formatCount(steps, "step")} · ${
      plan === undefined ? "no plan" : planLine(plan).name
    }`;
    setText(byId("settings-brief", HTMLElement), brief);
    this.onChange();
  }

  #checked(name: string, otherwise: string): string {
    const value = new FormData(this.#form).get(name);
    return typeof value === "string" ? value : otherwise;
  }
}

function radio(name: string, value: string, checked: boolean): HTMLInputElement {
  const input = make("input", { type: "radio", name, value });
  input.checked = checked;
  return input;
}
