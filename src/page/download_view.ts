/**
 * The link that downloads the picture of the stage, enlarged as a person chooses.
 */

import { byId, make } from "./dom.ts";
import { enlargePng, scalesOf } from "./enlarge.ts";
import { type Outcome, outcomeFile } from "./outcome.ts";
import { saveFile } from "./save_file.ts";
import { readText, writeText } from "./settings_store.ts";

const ITEM = "invardiff-enlargement";
/** Smaller pictures grow to about so many pixels unless a person chooses: they are stamps on today's screens. */
const VIEWABLE_SIDE = 128;

/** The link and the choice beside it. */
export class DownloadView {
  readonly #link = byId("download", HTMLAnchorElement);
  readonly #scale = byId("enlargement", HTMLSelectElement);
  #outcome: Outcome | undefined;

  constructor() {
    this.#scale.addEventListener("change", () => writeText(ITEM, this.#scale.value));
    this.#link.addEventListener("click", (event) => {
      const scale = Number(this.#scale.value);
      if (this.#outcome === undefined || scale === 1) return; // the file itself, as it was drawn
      event.preventDefault();
      void saveEnlarged(this.#outcome, scale);
    });
  }

  /** Offers a picture. */
  offer(outcome: Outcome): void {
    const { png, pixels: { width, height } } = outcome.result;
    this.#outcome = outcome;
    this.#link.href = URL.createObjectURL(png);
    this.#link.download = outcomeFile(outcome);
    const scales = scalesOf({ width, height });
    const usual = Math.max(1, Math.floor(VIEWABLE_SIDE / Math.max(width, height)));
    const wanted = Number(readText(ITEM) ?? usual);
    this.#scale.replaceChildren(...scales.map((scale) => {
      return make("option", { value: `${scale}` }, `${width * scale} × ${height * scale}`);
    }));
    this.#scale.value = `${scales.findLast((scale) => scale <= wanted) ?? 1}`;
  }

  /** Offers none. */
  clear(): void {
    if (this.#link.href !== "") URL.revokeObjectURL(this.#link.href);
    this.#link.removeAttribute("href");
    this.#outcome = undefined;
  }
}

async function saveEnlarged(outcome: Outcome, scale: number): Promise<void> {
  const file = await enlargePng(outcome.result.png, scale);
  saveFile(file, outcomeFile(outcome).replace(/\.png$/, `-x${scale}.png`));
}
