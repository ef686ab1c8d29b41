/**
 * The gallery: the history, newest first.
 */

import { archiveOf } from "./archive.ts";
import { byId, make, setText } from "./dom.ts";
import { fileName, formatCount, formatFactor, formatSeconds } from "./format.ts";
import type { Entry, HistoryStore } from "./history_store.ts";
import { outcomeFile } from "./outcome.ts";
import { saveFile } from "./save_file.ts";

/** Cards that are shown at first, and more of with each press. */
const SHOWN = 48;
/** Side from which a picture is shown smooth. */
const SMOOTH_SIDE = 128;

/** What is told of the gallery. */
export interface GalleryEvents {
  /** Called when a picture is wanted back. */
  readonly onPick: (entry: Entry) => void;
  /** Called with what happened, in words. */
  readonly onTold: (words: string) => void;
}

/** The list of cards. */
export class GalleryView {
  readonly #cards = byId("cards", HTMLElement);
  readonly #more = byId("more-cards", HTMLButtonElement);
  #urls: string[] = [];
  #shown = SHOWN;

  constructor(readonly history: HistoryStore, readonly events: GalleryEvents) {
    this.#more.addEventListener("click", () => {
      this.#shown += SHOWN;
      this.show();
    });
    byId("save-all", HTMLButtonElement).addEventListener("click", () => void this.#saveAll());
    byId("delete-all", HTMLButtonElement).addEventListener("click", () => {
      const { entries } = history;
      if (!confirm(`Delete ${formatCount(entries.length, "picture")} for good?`)) return;
      void this.#delete(entries);
    });
    this.show();
  }

  /** Shows the history as it is. */
  show(): void {
    for (const url of this.#urls) URL.revokeObjectURL(url);
    this.#urls = [];
    const { entries, notice } = this.history;
    byId("gallery", HTMLElement).hidden = entries.length === 0;
    setText(byId("gallery-count", HTMLElement), formatCount(entries.length, "picture"));
    setText(byId("history-notice", HTMLElement), notice ?? "");
    this.#cards.replaceChildren(...entries.slice(0, this.#shown).map((entry) => this.#card(entry)));
    this.#more.hidden = entries.length <= this.#shown;
  }

  #card(entry: Entry): HTMLElement {
    const { title, link, request: { seed, plan }, result } = entry;
    const url = URL.createObjectURL(result.png);
    this.#urls.push(url);
    const picture = make("img", { src: url, alt: "", loading: "lazy" });
    picture.addEventListener("load", () => {
      picture.classList.toggle("smooth", picture.naturalWidth >= SMOOTH_SIDE);
    });
    const name = `${title}, seed ${seed}`;
    const words = make(
      "span",
      { class: "card-words" },
      make("span", { class: "card-title" }, name),
      make("small", {}, plan === undefined ? "no plan" : `plan ${plan.split(".").at(-1)}`),
      make("small", {}, factsOf(entry)),
    );
    const show = make("button", { type: "button", class: "card-show" }, picture, words);
    show.addEventListener("click", () => this.events.onPick(entry));
    const save = make("a", { href: url, download: outcomeFile(entry) }, "PNG");
    save.setAttribute("aria-label", `Download ${name}, as PNG`);
    const again = make("a", { href: link, class: "card-link" }, "Link");
    again.setAttribute("aria-label", `Link to ${name}`);
    const away = make("button", { type: "button", class: "card-delete" }, "Delete");
    away.setAttribute("aria-label", `Delete ${name}`);
    away.addEventListener("click", () => void this.#delete([entry]));
    return make("li", {}, show, make("span", { class: "card-acts" }, save, again, away));
  }

  async #delete(entries: readonly Entry[]): Promise<void> {
    await this.history.delete(entries.map(({ link }) => link));
    this.show();
    this.events.onTold(`${formatCount(entries.length, "picture")} deleted.`);
    this.#cards.querySelector("button")?.focus(); // what had the focus is gone
  }

  async #saveAll(): Promise<void> {
    const { entries } = this.history;
    const files = entries.map((entry) => {
      return { name: outcomeFile(entry), file: entry.result.png, made: entry.made };
    });
    const day = new Date().toISOString().slice(0, 10);
    saveFile(await archiveOf(files), fileName(["invardiff", day]) + ".zip");
  }
}

function factsOf({ speedup, request: { plan, steps }, result: { seconds } }: Entry): string {
  const saved = speedup === undefined || plan === undefined ? [] : [formatFactor(speedup)];
  const time = seconds === undefined ? [] : [formatSeconds(seconds)];
  return [formatCount(steps, "step"), ...time, ...saved].join(" · ");
}
