/**
 * The form: what is asked for, and what there is to ask for.
 */

import { searchClasses } from "./class_search.ts";
import type { ModelView, PlanView } from "./contract.ts";
import { byId, make, setText } from "./dom.ts";
import { formatCount } from "./format.ts";
import { EditView } from "./edit_view.ts";
import type { Linked } from "./link.ts";
import { modelOf, type Offer } from "./offer.ts";
import { PlanListView, radio } from "./plan_list_view.ts";
import { PromptView } from "./prompt_view.ts";
import type { BrowserBackend, RunEdit, RunRequest } from "./run.ts";
import { browserWords, runsHere } from "./runs_here.ts";
import { SeedView } from "./seed_view.ts";

/** What is kept of the form from visit to visit, beside its request. */
export interface FormHabits {
  readonly count: number;
  readonly compares: boolean;
  /** Whether the seed is kept. */
  readonly locked: boolean;
}

/** With more classes than this there is a search field, and no more than this are listed. */
const LISTED = 24;
const MOST_PICTURES = 8;

/** The form's fields. */
export class FormView {
  readonly #model = byId("model", HTMLSelectElement);
  readonly #search = byId("class-search", HTMLInputElement);
  readonly #list = byId("class-list", HTMLElement);
  readonly #steps = byId("steps", HTMLInputElement);
  readonly #count = byId("count", HTMLInputElement);
  readonly #guidance = byId("guidance", HTMLInputElement);
  readonly #sampler = byId("sampler", HTMLSelectElement);
  readonly #negative = byId("negative", HTMLInputElement);
  readonly #trueGuidance = byId("true-guidance", HTMLInputElement);
  readonly #compare = byId("compare", HTMLInputElement);
  readonly #engine = byId("engine", HTMLSelectElement);
  readonly #form = byId("form", HTMLFormElement);
  readonly seed: SeedView = new SeedView(() => this.#changed());
  readonly #planList = new PlanListView(() => this.#takeSteps());
  readonly #prompt = new PromptView({
    onChange: () => this.#changed(),
    onGo: () => this.#form.requestSubmit(),
    onSurprise: () => this.#form.requestSubmit(),
  });
  readonly #edit = new EditView(() => this.#changed());
  #label = 0;

  /** Called after every change. */
  onChange: () => void = () => {};

  /** Fills the fields. */
  constructor(readonly offer: Offer) {
    const { models, capabilities } = offer;
    this.#model.append(...models.map(({ id }) => make("option", { value: id }, id)));
    byId("model-field", HTMLElement).hidden = models.length < 2;
    this.#steps.max = `${capabilities.limits.steps}`;
    this.#model.addEventListener("change", () => this.#showModel());
    this.#search.addEventListener("input", () => this.#showClasses());
    this.#steps.addEventListener("change", () => this.#freePlan());
    this.#sampler.addEventListener("change", () => this.#changed());
    this.#form.addEventListener("input", () => this.#changed());
    byId("settings", HTMLDetailsElement).open = matchMedia("(min-width: 861px)").matches;
    this.#showModel();
  }

  get model(): ModelView {
    return modelOf(this.offer, this.#model.value);
  }

  /** The plan that a run would follow. */
  get plan(): PlanView | undefined {
    return this.#solver === undefined ? this.#planList.planFor(this.steps) : undefined;
  }

  /** Steps, as far as the field holds a number. */
  get steps(): number {
    return this.#steps.valueAsNumber || this.model.sampler.steps;
  }

  /** How many pictures are drawn at once. */
  get count(): number {
    return Math.min(Math.max(Math.trunc(this.#count.valueAsNumber) || 1, 1), MOST_PICTURES);
  }

  /** Whether the picture is also made in full, to compare. */
  get compares(): boolean {
    return this.#compare.checked && this.plan !== undefined;
  }

  get habits(): FormHabits {
    return { count: this.count, compares: this.#compare.checked, locked: this.seed.locked };
  }

  set habits({ count, compares, locked }: FormHabits) {
    this.#count.value = `${count}`;
    this.#compare.checked = compares;
    this.seed.locked = locked;
  }

  /** What is asked for. */
  read(): RunRequest {
    const { model, plan } = this;
    return {
      model: model.id,
      ...(model.takes_prompts ? this.#wordsOf() : { label: this.#label }),
      seed: this.seed.value,
      steps: plan?.steps ?? this.steps,
      sampler: this.#solver,
      guidance: model.guidable ? this.#guidance.valueAsNumber : 1,
      plan: plan?.id,
      engine: this.#browserEngine,
      edit: this.#edit.value,
    };
  }

  /** What is asked for, as a link says it, a plan as it was chosen. */
  readLinked(): Linked {
    const { plan: _, edit: _2, ...asked } = this.read();
    return { ...asked, steps: this.steps, plan: this.#planList.choice };
  }

  /** Begins from a picture from now on. */
  beginFrom(image: Blob): void {
    this.#edit.take(image);
  }

  /** Puts what a link says into the fields; what it leaves out is the model's own. */
  write(linked: Linked, edit?: RunEdit): void {
    const { model, label = 0, prompt, seed, steps, guidance, plan = "auto" } = linked;
    const isKnown = this.offer.models.some(({ id }) => id === model);
    if (isKnown && this.#model.value !== model) {
      this.#model.value = model!;
      this.#showModel();
    }
    const { sampler } = this.model;
    this.#label = label;
    this.#edit.value = edit;
    if (prompt !== undefined) this.#prompt.value = prompt;
    this.#negative.value = linked.negativePrompt ?? "";
    if (linked.trueGuidance !== undefined) this.#trueGuidance.value = `${linked.trueGuidance}`;
    if (seed !== undefined) this.seed.value = seed;
    this.#steps.value = `${steps ?? sampler.steps}`;
    this.#guidance.value = `${guidance ?? sampler.guidance}`;
    this.#sampler.value = linked.sampler ?? "";
    this.#writePlace(linked.engine);
    this.#showClasses();
    this.#showPlans(plan);
    this.#changed();
  }

  get #browserEngine(): BrowserBackend | undefined {
    if (new FormData(this.#form).get("place") !== "browser" || !runsHere(this.model)) {
      return undefined;
    }
    return this.#engine.value as BrowserBackend; // the shell's own options
  }

  #writePlace(engine: BrowserBackend | undefined): void {
    const place = engine === undefined ? "server" : "browser";
    const radio = this.#form.querySelector<HTMLInputElement>(`[name="place"][value="${place}"]`);
    if (radio !== null) radio.checked = true;
    if (engine !== undefined) this.#engine.value = engine;
  }

  /** Another solver than the model's own. */
  get #solver(): string | undefined {
    return this.#sampler.value || undefined;
  }

  #wordsOf(): Pick<RunRequest, "prompt" | "negativePrompt" | "trueGuidance"> {
    const negative = this.#negative.value.trim();
    return {
      prompt: this.#prompt.value,
      negativePrompt: negative || undefined,
      trueGuidance: negative === "" ? undefined : this.#trueGuidance.valueAsNumber,
    };
  }

  get #fitting(): readonly PlanView[] {
    return this.offer.plans.filter(({ id }) => this.model.plans.includes(id));
  }

  #showModel(): void {
    const { sampler, classes, guidable, takes_prompts, edits, samplers = [] } = this.model;
    for (const id of ["prompting", "surprise", "words", "negative-field"]) {
      byId(id, HTMLElement).hidden = !takes_prompts;
    }
    byId("classes", HTMLElement).hidden = takes_prompts;
    if (takes_prompts) this.#prompt.show(this.model);
    this.#edit.offered = edits;
    this.#steps.value = `${sampler.steps}`;
    this.#guidance.value = `${sampler.guidance}`;
    byId("guidance-field", HTMLElement).hidden = !guidable;
    byId("sampler-field", HTMLElement).hidden = samplers.length < 2;
    this.#sampler.replaceChildren(
      make("option", { value: "" }, `${sampler.name} (own)`),
      ...samplers.filter((name) => name !== sampler.name).map((name) =>
        make("option", { value: name }, name)
      ),
    );
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
    const { steps, model: { sampler: { steps: usual } } } = this;
    this.#planList.show({ steps, usual, plans: this.#fitting }, chosen);
  }

  /** A plan brings its steps. */
  #takeSteps(): void {
    const { plan } = this;
    if (plan !== undefined) this.#steps.value = `${plan.steps}`;
  }

  /** Other steps than the plan's give the choice back. */
  #freePlan(): void {
    const { plan } = this;
    const stays = plan === undefined || plan.steps === this.steps;
    this.#showPlans(stays ? this.#planList.choice : "auto");
    this.#changed();
  }

  #changed(): void {
    const { plan, count, seed: { value: seed } } = this;
    const steps = plan?.steps ?? this.steps;
    setText(byId("guidance-value", HTMLElement), this.#guidance.value);
    setText(byId("true-guidance-value", HTMLElement), this.#trueGuidance.value);
    this.#edit.showStrength();
    const planned = plan === undefined ? "no plan" : this.#planList.nameOf(plan);
    const brief = `seed ${seed} · ${formatCount(steps, "step")} · ${planned}`;
    setText(byId("settings-brief", HTMLElement), brief);
    setText(byId("generate", HTMLElement), count === 1 ? "Generate" : `Generate ${count}`);
    byId("true-guidance-field", HTMLElement).hidden = this.#negative.value.trim() === "";
    byId("plan-field", HTMLFieldSetElement).disabled = this.#solver !== undefined;
    byId("solver-hint", HTMLElement).hidden = this.#solver === undefined;
    this.#compare.disabled = plan === undefined;
    byId("compare-hint", HTMLElement).hidden = plan !== undefined;
    this.#showPlace();
    this.onChange();
  }

  #showPlace(): void {
    const isOffered = runsHere(this.model);
    byId("place-field", HTMLElement).hidden = !isOffered;
    const isHere = this.#browserEngine !== undefined;
    byId("engine-field", HTMLElement).hidden = !isHere;
    const words = isHere ? browserWords() : this.model.backend.description;
    setText(byId("place-facts", HTMLElement), words);
  }
}
