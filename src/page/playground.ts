/**
 * One run after another: from the form to the stage, the map and the history.
 */

import { showBusy } from "./busy_view.ts";
import { byId, setText } from "./dom.ts";
import type { FormView } from "./form_view.ts";
import { GalleryView } from "./gallery_view.ts";
import { type Entry, entryOf, type HistoryStore, outcomeOf } from "./history_store.ts";
import { formatLink, linkedOf } from "./link.ts";
import { modelOf, planOf, stepsInFull } from "./offer.ts";
import { compared, type Outcome, titleOf } from "./outcome.ts";
import { PlanMap } from "./plan_map.ts";
import { readPngRecord } from "./png_record.ts";
import { Recall } from "./recall.ts";
import type { RunEvent, RunRequest, RunResult } from "./run.ts";
import { type RunnerContext, runnerOf } from "./runners.ts";
import { SnippetView } from "./snippet_view.ts";
import { StageView } from "./stage_view.ts";
import {
  announcement,
  IDLE,
  isBusy,
  ownSpeedup,
  type Pass,
  type Place,
  reduce,
  type RunAction,
  type RunState,
  statusLine,
} from "./state.ts";

/** What the playground plays with. */
export interface PlaygroundContext extends RunnerContext {
  readonly history: HistoryStore;
}

/** Pictures that the button for variations draws. */
const VARIATIONS = 4;

/** The page at work. */
export class Playground {
  readonly #stage = new StageView();
  readonly #map: PlanMap;
  readonly #gallery: GalleryView;
  readonly #snippet: SnippetView;
  readonly #recall: Recall;
  #state: RunState = IDLE;
  #last: Outcome | undefined;
  #stop: AbortController | undefined;

  /** Makes it, for a filled form; {@linkcode open} begins. */
  constructor(readonly form: FormView, readonly context: PlaygroundContext) {
    const { api, history, offer } = context;
    const tell = (words: string): void => setText(byId("announcer", HTMLElement), words);
    this.#map = new PlanMap(api);
    this.#recall = new Recall(history, offer);
    this.#snippet = new SnippetView(offer.capabilities.auth === "bearer", tell);
    this.#gallery = new GalleryView(history, {
      onPick: (entry) => void this.#pick(entry),
      onTold: tell,
    });
  }

  /** Listens, and draws what the address bar says. */
  open(): void {
    const stop = (): void => this.#stop?.abort();
    byId("form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#run();
    });
    byId("begin", HTMLButtonElement).addEventListener("click", () => {
      if (this.#last !== undefined) this.form.beginFrom(this.#last.result.png);
    });
    byId("vary", HTMLButtonElement).addEventListener("click", () => void this.#vary());
    byId("cancel", HTMLButtonElement).addEventListener("click", stop);
    addEventListener("hashchange", () => void this.#follow());
    addEventListener("pagehide", stop); // nothing is left running for nobody
    document.addEventListener("keydown", ({ key }) => {
      if (key === "Escape") stop();
    });
    byId("generate", HTMLButtonElement).disabled = false;
    this.show();
    void this.#follow();
  }

  /** Shows what the form asks for; a picture that is drawn stays. */
  show(): void {
    if (isBusy(this.#state)) return;
    const request = this.form.read();
    if (this.#last === undefined) {
      this.#state = { ...IDLE, words: `Ready. Seed ${request.seed} starts from this noise.` };
      this.#showNoise(request);
      this.#update();
    }
    this.#showPlan(request, this.#last !== undefined);
  }

  /** Takes what dropped files say, or begins from them. */
  async drop(files: readonly File[]): Promise<void> {
    if (isBusy(this.#state)) return;
    for (const file of files) {
      const found = await this.#recall.file(file, this.form.model);
      if (found.kind === "begin") this.form.beginFrom(file);
      if (found.kind === "drawn") {
        await this.#keep(found.entry);
        await this.#restore(found.entry);
      }
      this.#say(found.words);
    }
  }

  /** Draws what the address bar says, or shows it where it is drawn. */
  async #follow(): Promise<void> {
    if (isBusy(this.#state)) return;
    const drawn = this.context.history.get(location.hash);
    const found = this.#recall.link(location.hash);
    if (drawn !== undefined) return await this.#pick(drawn);
    if (found === undefined) return;
    this.form.write(found.linked, found.edit);
    if (found.words === undefined) await this.#run();
    else this.#say(found.words);
  }

  async #run(): Promise<void> {
    if (isBusy(this.#state)) return;
    this.form.seed.take();
    await this.#series(this.form.read(), this.form.count);
  }

  /** The picture of the stage again, from other noise. */
  async #vary(): Promise<void> {
    const asked = this.#last?.request;
    if (asked === undefined || isBusy(this.#state)) return;
    const request = { ...asked, seed: asked.seed + 1 };
    this.form.write(linkedOf(request), request.edit);
    this.form.seed.spend();
    await this.#series(request, VARIATIONS);
  }

  /** Pictures with seeds one after another, until one fails or a person has enough. */
  async #series(first: RunRequest, count: number): Promise<void> {
    const { signal } = this.#stop = new AbortController();
    showBusy(true);
    for (let i = 0; i < count && !signal.aborted; i++) {
      const place = count === 1 ? undefined : { picture: i + 1, of: count };
      if (!await this.#draw({ ...first, seed: first.seed + i }, place)) break;
    }
    showBusy(false);
  }

  /** One picture, from noise to history; whether it came about. */
  async #draw(request: RunRequest, place: Place | undefined): Promise<boolean> {
    const compares = this.form.compares && request.plan !== undefined;
    let outcome: Outcome | undefined;
    this.#showNoise(request);
    try {
      const result = await this.#pass("planned", request, place);
      outcome = await this.#outcomeOf(request, result);
      await this.#keep(entryOf(outcome)); // whatever becomes of the other
      if (compares) {
        const inFull = {
          ...request,
          plan: undefined,
          steps: stepsInFull(request, this.context.offer),
        };
        outcome = compared(outcome, await this.#pass("full", inFull, place));
        await this.#keep(entryOf(outcome));
      }
      this.#present(outcome);
      return true;
    } catch (error) {
      if (outcome === undefined) this.#fail(error);
      else this.#present({ ...outcome, words: `${outcome.words} ${this.#lackWords(error)}` });
      return false;
    }
  }

  /** One run; its events move the state on. */
  async #pass(pass: Pass, request: RunRequest, place: Place | undefined): Promise<RunResult> {
    const { offer } = this.context;
    const inFull = request.edit === undefined ? stepsInFull(request, offer) : undefined;
    this.#dispatch({ kind: "asked", pass, inFull, place });
    this.#showPlan(request, false);
    const model = modelOf(offer, request.model);
    const result = await runnerOf(request, model, this.context)(request, {
      onEvent: (event) => this.#hear(event),
      signal: this.#stop!.signal, // of the series
    });
    this.#dispatch({ kind: "finished", seconds: result.seconds ?? 0 });
    return result;
  }

  #hear(event: RunEvent): void {
    if (event.kind === "preview") return this.#stage.preview(event.pixels);
    this.#dispatch(event);
  }

  async #outcomeOf(request: RunRequest, result: RunResult): Promise<Outcome> {
    const begins = request.edit &&
      readPngRecord(new Uint8Array(await result.png.arrayBuffer()))?.begins;
    return {
      ...{ request, link: formatLink(request, begins), result },
      title: titleOf(request, this.context.offer.models),
      words: statusLine(this.#state),
      speedup: ownSpeedup(this.#state),
    };
  }

  async #keep(entry: Entry): Promise<void> {
    await this.context.history.put(entry);
    this.#gallery.show();
  }

  #fail(error: unknown): void {
    if (this.#stop?.signal.aborted) this.#dispatch({ kind: "cancelled" });
    else this.#dispatch({ kind: "failed", message: messageOf(error) });
  }

  /** Why a picture that is drawn has nothing beside it. */
  #lackWords(error: unknown): string {
    if (this.#stop?.signal.aborted) return "The comparison was cancelled.";
    return `The comparison failed: ${messageOf(error)}`;
  }

  /** Shows a finished picture, and what draws it again in the address bar. */
  #present(outcome: Outcome): void {
    this.#last = outcome;
    this.#dispatch({ kind: "shown", words: outcome.words });
    this.#stage.finish(outcome);
    this.#snippet.show(outcome);
    history.replaceState(null, "", outcome.link);
    byId("begin", HTMLButtonElement).hidden = !this.form.model.edits;
    this.#showPlan(outcome.request, false);
  }

  /** Brings a picture back, with what it was asked by. */
  async #restore(entry: Entry): Promise<void> {
    const outcome = await outcomeOf(entry);
    this.form.write(linkedOf(entry.request), entry.request.edit);
    this.#present(outcome);
  }

  async #pick(entry: Entry): Promise<void> {
    if (isBusy(this.#state)) return;
    await this.#restore(entry);
    this.form.seed.spend();
    const lack = this.#recall.lackOf(linkedOf(entry.request));
    if (lack !== undefined) this.#say(lack);
    byId("stage", HTMLElement).focus();
  }

  /** Says something of the picture, or why there is none. */
  #say(words: string): void {
    if (this.#last === undefined) this.#dispatch({ kind: "failed", message: words });
    else this.#dispatch({ kind: "shown", words });
  }

  #dispatch(action: RunAction): void {
    this.#state = reduce(this.#state, action);
    this.#update();
  }

  #update(): void {
    const { phase, seconds, kinds } = this.#state;
    this.#stage.update(this.#state, this.form.plan?.predicted_speedup ?? undefined);
    this.#map.mark(/running|cancelled/.test(phase) ? seconds.length : undefined, kinds.length);
    setText(byId("announcer", HTMLElement), announcement(this.#state));
  }

  #showNoise(request: RunRequest): void {
    const { offer } = this.context;
    const title = `${titleOf(request, offer.models)}, seed ${request.seed}`;
    this.#snippet.show(undefined);
    this.#stage.showNoise(modelOf(offer, request.model).latent, request.seed, title);
  }

  #showPlan(request: RunRequest, isNext: boolean): void {
    const { steps, plan } = request;
    const { offer } = this.context;
    const inFull = stepsInFull(request, offer);
    void this.#map.show(planOf(offer, plan), { steps, inFull, isNext });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
