/**
 * The gallery: what was made since the page was opened, newest first.
 */

import { paint } from "./canvas.ts";
import { byId, make } from "./dom.ts";
import { formatCount, formatFactor, formatSeconds } from "./format.ts";
import { type Outcome, outcomeFile } from "./outcome.ts";

/** Older ones are dropped: each holds its files in memory. */
const MOST = 24;

/** The list of cards. */
export class GalleryView {
  readonly #cards = byId("cards", HTMLElement);
  readonly #urls = new WeakMap<Element, string>();

  /** `onPick` shows an outcome again. */
  constructor(readonly onPick: (outcome: Outcome) => void) {}

  add(outcome: Outcome): void {
    const card = this.#card(outcome);
    this.#cards.prepend(card);
    byId("gallery", HTMLElement).hidden = false;
    while (this.#cards.children.length > MOST) this.#drop(this.#cards.lastElementChild!); // there are more than MOST
  }

  #card(outcome: Outcome): HTMLElement {
    const { title, request: { seed, steps, guidance, plan }, result, speedup } = outcome;
    const canvas = make("canvas", { "aria-hidden": "true" });
    paint(canvas, result.pixels);
    const saved = speedup === undefined || plan === undefined ? "" : ` · ${formatFactor(speedup)}`;
    const words = make(
      "span",
      { class: "card-words" },
      make("span", { class: "card-title" }, `${title}, seed ${seed}`),
      make("small", {}, `${formatCount(steps, "step")} · guidance ${guidance}`),
      make("small", {}, plan === undefined ? "no plan" : `plan ${plan.split(".").at(-1)}`),
      make("small", {}, `${formatSeconds(result.seconds)}${saved}`),
    );
    const show = make("button", { type: "button" }, canvas, words);
    show.addEventListener("click", () => this.onPick(outcome));
    const url = URL.createObjectURL(result.png);
    const label = `Download ${title}, seed ${seed}, as PNG`;
    const link = make(
      "a",
      { href: url, download: outcomeFile(outcome), "aria-label": label },
      "PNG",
    );
    const card = make("li", {}, show, link);
    this.#urls.set(card, url);
    return card;
  }

  #drop(card: Element): void {
    URL.revokeObjectURL(this.#urls.get(card) ?? "");
    card.remove();
  }
}
