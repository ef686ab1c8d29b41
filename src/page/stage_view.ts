/**
 * The stage: the picture as it comes, how far it is, and what the plan saved.
 */

import { normalNoise } from "../tensor/random.ts";
import { paint } from "./canvas.ts";
import { byId, make, setText } from "./dom.ts";
import { DownloadView } from "./download_view.ts";
import { formatDecibels, formatFactor, formatSeconds } from "./format.ts";
import type { Outcome } from "./outcome.ts";
import { pixelDifference, pixelPsnr, type Pixels, pixelsOf } from "./pixels.ts";
import { isBusy, ownSpeedup, progressOf, type RunState, statusLine } from "./state.ts";

const MAGNIFIED = 4;
/** Noise of unit variance, scaled so that most of it is within what a picture can show. */
const NOISE_SCALE = 1 / 3;

/** Everything in the stage but the plan's map. */
export class StageView {
  readonly #stage = byId("stage", HTMLElement);
  readonly #frame = byId("frame", HTMLElement);
  readonly #picture = byId("picture", HTMLCanvasElement);
  readonly #full = byId("full", HTMLCanvasElement);
  readonly #divider = byId("divider", HTMLInputElement);
  readonly #speed = byId("speed", HTMLElement);
  readonly #speedHow = byId("speed-how", HTMLElement);
  readonly #download = new DownloadView();

  /** Takes the divider in hand. */
  constructor() {
    this.#divider.addEventListener("input", () => this.#split());
  }

  /** The noise that a seed starts from. */
  showNoise(latent: readonly number[], seed: number, title: string): void {
    this.#clear();
    this.#frame.classList.add("noise");
    this.#title(title, `The noise that seed ${seed} starts from`);
    const [channels = 1, ...sides] = latent;
    const { dims, data } = normalNoise([1, channels === 3 ? 3 : 1, ...sides], seed);
    paint(this.#picture, pixelsOf({ dims, data: data.map((value) => value * NOISE_SCALE) }));
  }

  /** What the picture will be. */
  preview(pixels: Pixels): void {
    this.#frame.classList.remove("noise");
    paint(this.#picture, pixels);
  }

  /** How far a run is; `predicted` is its plan's speed-up. */
  update(state: RunState, predicted: number | undefined): void {
    this.#stage.dataset["phase"] = state.phase;
    this.#stage.setAttribute("aria-busy", `${isBusy(state)}`);
    setText(byId("status", HTMLElement), statusLine(state));
    this.#progress(state);
    if (state.phase === "finished") return; // a picture's facts are those of its outcome
    if (state.phase === "failed" || state.phase === "cancelled") return this.#forgetFacts();
    if (state.pass === "full") return; // those of the picture stay
    const isTimed = state.phase === "running" && state.seconds.length > 0;
    setText(byId("time", HTMLElement), isTimed ? formatSeconds(state.elapsed) : "–");
    this.#tellSpeed(ownSpeedup(state), predicted);
  }

  /** A finished picture, with its counterpart where there is one. */
  finish(outcome: Outcome): void {
    const { result, full, title, request, speedup } = outcome;
    const { seconds } = result;
    this.#clear();
    this.#title(
      `${title}, seed ${request.seed}`,
      `${title}, drawn from seed ${request.seed}`,
    );
    paint(this.#picture, result.pixels);
    setText(byId("time", HTMLElement), seconds === undefined ? "–" : formatSeconds(seconds));
    setText(this.#speed, speedup === undefined ? "–" : formatFactor(speedup));
    setText(this.#speedHow, speedWords(outcome));
    const drawer = result.backend === undefined ? [] : [`Drawn by ${result.backend}.`];
    this.#notices([...result.notices, ...drawer]);
    this.#download.offer(outcome);
    byId("take", HTMLElement).hidden = false;
    if (full !== undefined) this.#compare(result.pixels, full.pixels);
  }

  #compare(pixels: Pixels, full: Pixels): void {
    paint(this.#full, full);
    for (
      const id of ["full", "divider", "tag-left", "tag-right", "psnr-row", "difference-figure"]
    ) {
      byId(id, HTMLElement).hidden = false;
    }
    this.#frame.classList.add("split");
    this.#divider.value = "50";
    this.#split();
    setText(byId("psnr", HTMLElement), formatDecibels(pixelPsnr(pixels, full)));
    paint(byId("difference", HTMLCanvasElement), pixelDifference(pixels, full, MAGNIFIED));
  }

  #split(): void {
    this.#frame.style.setProperty("--split", `${this.#divider.value}%`);
    this.#divider.setAttribute("aria-valuetext", `${this.#divider.value} % with plan`);
  }

  #tellSpeed(own: number | undefined, predicted: number | undefined): void {
    setText(this.#speed, own === undefined ? "–" : formatFactor(own));
    setText(
      this.#speedHow,
      predicted === undefined ? "no plan" : `predicted ${formatFactor(predicted)}`,
    );
  }

  #progress(state: RunState): void {
    const progress = byId("progress", HTMLProgressElement);
    progress.hidden = !isBusy(state);
    const share = progressOf(state);
    if (share === undefined) progress.removeAttribute("value");
    else progress.value = share;
  }

  #notices(lines: readonly string[]): void {
    const list = byId("notices", HTMLElement);
    list.replaceChildren(...lines.map((line) => make("li", {}, line)));
    list.hidden = lines.length === 0;
  }

  #title(title: string, picture: string): void {
    setText(byId("stage-title", HTMLElement), title);
    this.#picture.setAttribute("aria-label", picture);
  }

  #clear(): void {
    this.#download.clear();
    this.#frame.classList.remove("split", "noise");
    const ids = [
      "full",
      "divider",
      "tag-left",
      "tag-right",
      "psnr-row",
      "difference-figure",
      "take",
    ];
    for (const id of ids) byId(id, HTMLElement).hidden = true;
    this.#notices([]);
    this.#forgetFacts();
  }

  #forgetFacts(): void {
    for (const id of ["time", "speed"]) setText(byId(id, HTMLElement), "–");
    setText(this.#speedHow, "");
  }
}

function speedWords({ full, speedup, request }: Outcome): string {
  if (request.plan === undefined) return "no plan: every step computed";
  if (full?.seconds !== undefined) return `in full: ${formatSeconds(full.seconds)}`;
  return speedup === undefined ? "" : "by this run's full steps";
}
