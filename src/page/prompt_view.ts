/**
 * The prompt box: words of one's own, examples, phrases that the model knows, and one by lot.
 */

import type { PromptExamples } from "../assets/manifest.ts";
import { promptByLot } from "../assets/prompt_by_lot.ts";
import type { ModelView } from "./contract.ts";
import { byId, make } from "./dom.ts";
import { phraseIn, togglePhrase } from "./prompt_words.ts";

/** For models whose authors name none. */
const USUAL: PromptExamples = {
  subject: "",
  examples: [
    "a red fox in the snow at golden hour",
    "a lighthouse in a storm, oil painting",
    "a paper boat on a calm lake, watercolour",
    "a bowl of fruit on a wooden table",
  ],
  attributes: {},
};

/** What is told of the box. */
export interface PromptEvents {
  /** Called after every change. */
  readonly onChange: () => void;
  /** Called when the picture is wanted at once. */
  readonly onGo: () => void;
  /** Called when there is a prompt by lot. */
  readonly onSurprise: () => void;
}

/** The box and its chips. */
export class PromptView {
  readonly #text = byId("prompt", HTMLTextAreaElement);
  readonly #examples = byId("examples", HTMLElement);
  readonly #phrases = byId("phrases", HTMLElement);
  #known = USUAL;

  /** Listens to the box. */
  constructor(readonly events: PromptEvents) {
    this.#text.addEventListener("input", () => this.#mark());
    this.#text.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault(); // a prompt is one line; Shift+Enter breaks it
      events.onGo();
    });
    byId("surprise", HTMLButtonElement).addEventListener("click", () => {
      this.value = promptByLot(this.#known, lot);
      events.onSurprise();
    });
  }

  /** Words as they stand there. */
  get value(): string {
    return this.#text.value;
  }

  set value(words: string) {
    this.#text.value = words;
    this.#mark();
  }

  /** Fills the chips for a model; the box begins with its first example. */
  show({ prompts }: ModelView): void {
    this.#known = prompts ?? USUAL;
    const { examples, attributes } = this.#known;
    this.#examples.replaceChildren(...examples.map((example) => {
      const chip = make("button", { type: "button", class: "chip" }, example);
      chip.addEventListener("click", () => this.#write(example));
      return chip;
    }));
    const groups = Object.entries(attributes);
    byId("phrases-field", HTMLElement).hidden = groups.length === 0;
    this.#phrases.replaceChildren(...groups.map(([name, group]) => this.#group(name, group)));
    this.value = examples[0] ?? "";
  }

  #group(name: string, group: readonly string[]): HTMLElement {
    const chips = group.map((phrase) => {
      const chip = make("button", { type: "button", class: "chip" }, phrase);
      chip.addEventListener("click", () => {
        const { subject } = this.#known;
        this.#write(togglePhrase(this.value, phrase, { group, subject }));
      });
      return chip;
    });
    const row = make("div", { class: "chips", role: "group", "aria-label": name }, ...chips);
    return make("div", { class: "phrases" }, make("span", { "aria-hidden": "true" }, name), row);
  }

  #write(words: string): void {
    this.value = words;
    this.events.onChange();
  }

  /** Presses the chips of what the prompt has. */
  #mark(): void {
    const groups = Object.values(this.#known.attributes);
    [...this.#phrases.children].forEach((row, i) => {
      const found = phraseIn(this.value, groups[i] ?? []);
      for (const chip of row.querySelectorAll("button")) {
        const isFound = chip.textContent === found;
        chip.setAttribute("aria-pressed", `${isFound}`);
        if (isFound) reveal(chip);
      }
    });
  }
}

/** Moves a chip's row, and nothing else, so that it can be seen. */
function reveal(chip: HTMLElement): void {
  const row = chip.parentElement!; // it is in a row
  const start = chip.offsetLeft - row.offsetLeft;
  const end = start + chip.offsetWidth;
  if (start >= row.scrollLeft && end <= row.scrollLeft + row.clientWidth) return;
  row.scrollLeft = start - (row.clientWidth - chip.offsetWidth) / 2;
}

/** A number in [0, 1). */
function lot(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0]! / 2 ** 32; // one was asked for
}
