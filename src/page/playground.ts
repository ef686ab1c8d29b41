/**
 * One run after another: from the form to the stage, the map and the gallery.
 */

import type { PlanFile } from "../plan/plan_schema.ts";
import type { Api } from "./api.ts";
import type { BrowserRuns } from "./browser_run.ts";
import { decodePicture } from "./canvas.ts";
import { BROWSER_MODELS, type PlanView } from "./contract.ts";
import { byId, setText } from "./dom.ts";
import type { BrowserBackend } from "./engine.ts";
import type { FormView, Offer } from "./form_view.ts";
import { GalleryView } from "./gallery_view.ts";
import { HeatMapView } from "./heat_map_view.ts";
import { formatSeconds } from "./format.ts";
import { formatLink, linkedOf, parseLink } from "./link.ts";
import type { Outcome } from "./outcome.ts";
import { fullShape, type PlanShape, planShape } from "./plan_shape.ts";
import type { RunEvent, Runner, RunRequest, RunResult } from "./run.ts";
import { serverRunner } from "./server_run.ts";
import { streamRunner } from "./stream_run.ts";
import { StageView } from "./stage_view.ts";
import {
  announcement,
  IDLE,
  isBusy,
  ownSpeedup,
  type Pass,
  reduce,
  type RunAction,
  type RunState,
} from "./state.ts";

/** What the playground plays with. */
export interface PlaygroundContext {
  readonly api: Api;
  readonly browser: BrowserRuns;
  /** What there is to ask for. */
  readonly offer: Offer;
}

/** Pictures that the button for variations draws. */
const VARIATIONS = 4;

/** The page at work. */
export class Playground {
  readonly #stage = new StageView();
  readonly #map = new HeatMapView();
  readonly #gallery = new GalleryView((outcome) => this.#pick(outcome));
  readonly #shapes = new Map<string, Promise<PlanShape>>();
  /** Lines of the map, as the last plan had them. */
  #rows = 24;
  #shown: unknown;
  #form: FormView | undefined;
  #state: RunState = IDLE;
  #predicted: number | undefined;
  #last: Outcome | undefined;
  #stop: AbortController | undefined;

  /** Makes it; {@linkcode open} begins. */
  constructor(readonly context: PlaygroundContext) {}

  /** Takes a filled form. */
  open(form: FormView): void {
    this.#form = form;
    byId("form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#run(form);
    });
    byId("begin", HTMLButtonElement).addEventListener("click", () => {
      if (this.#last !== undefined) form.beginFrom(this.#last.result.png);
    });
    byId("vary", HTMLButtonElement).addEventListener("click", () => void this.#vary(form));
    addEventListener("hashchange", () => this.#follow(form));
    byId("cancel", HTMLButtonElement).addEventListener("click", () => this.#stop?.abort());
    document.addEventListener("keydown", ({ key }) => {
      if (key === "Escape") this.#stop?.abort();
    });
    byId("generate", HTMLButtonElement).disabled = false;
    this.show();
    this.#follow(form);
  }

  /** Shows what the form asks for, unless a run is under way. */
  show(): void {
    const form = this.#form;
    if (form === undefined || isBusy(this.#state)) return;
    this.#showPlace(form);
    const { title, model, seed } = form;
    this.#state = { ...IDLE, words: `Ready. Seed ${seed} starts from this noise.` };
    this.#predicted = form.plan?.predicted_speedup ?? undefined;
    this.#stage.showNoise(model.latent, seed, `${title}, seed ${seed}`);
    this.#update();
    void this.#showPlan(form.plan, form.steps);
  }

  /** Draws what the address bar says, if it says anything. */
  #follow(form: FormView): void {
    const linked = parseLink(location.hash);
    if (linked === undefined || isBusy(this.#state)) return;
    form.write(linked);
    void this.#run(form);
  }

  async #run(form: FormView): Promise<void> {
    if (isBusy(this.#state)) return;
    this.#stop = new AbortController();
    await this.#draw(form, form.read());
  }

  /** The picture of the stage again, from other noise. */
  async #vary(form: FormView): Promise<void> {
    const asked = this.#last?.request;
    if (asked === undefined || isBusy(this.#state)) return;
    const stop = this.#stop = new AbortController();
    for (let i = 1; i <= VARIATIONS && !stop.signal.aborted; i++) {
      const request = { ...asked, seed: asked.seed + i };
      form.write(linkedOf(request));
      if (!await this.#draw(form, request)) return;
    }
  }

  /** One picture, from noise to gallery; whether it came about. */
  async #draw(form: FormView, request: RunRequest): Promise<boolean> {
    const runner = this.#runnerOf(form, request);
    const { title } = form;
    this.#stage.showNoise(form.model.latent, request.seed, `${title}, seed ${request.seed}`);
    this.#setBusy(true);
    try {
      const result = await this.#pass("planned", request, runner);
      const own = ownSpeedup(this.#state);
      const inFull = { ...request, plan: undefined, steps: this.#stepsInFull(request) };
      const compares = form.compares && request.plan !== undefined;
      const full = compares ? await this.#pass("full", inFull, runner) : undefined;
      const speedup = full === undefined ? own : full.seconds / result.seconds;
      if (full !== undefined) this.#dispatch({ kind: "finished", ...summary(result, full) });
      this.#finish({ request, title, result, full, speedup });
      return true;
    } catch (error) {
      this.#fail(error);
      return false;
    } finally {
      this.#setBusy(false);
    }
  }

  /** One run; its events move the state on. */
  async #pass(pass: Pass, request: RunRequest, runner: Runner): Promise<RunResult> {
    const inFull = request.edit === undefined ? this.#stepsInFull(request) : undefined;
    this.#dispatch({ kind: "asked", pass, inFull });
    const shape = this.#showPlan(this.#planView(request.plan), request.steps);
    const result = await runner(request, {
      onEvent: (event) => {
        this.#hear(event);
        if (event.kind === "started" && request.edit === undefined) {
          void shape.then((known) => this.#name(known));
        }
      },
      signal: this.#stop!.signal, // made by #run
    });
    this.#dispatch({ kind: "finished", seconds: result.seconds });
    return result;
  }

  #hear(event: RunEvent): void {
    if (event.kind === "preview") return this.#stage.preview(event.pixels);
    this.#dispatch(event);
  }

  /** A server calls a step mixed that computes no module but merges what is kept: the plan tells. */
  #name(shape: PlanShape | undefined): void {
    if (shape !== undefined) this.#dispatch({ kind: "kinds", kinds: shape.kinds });
  }

  #finish(outcome: Outcome): void {
    this.#present(outcome);
    this.#gallery.add(outcome);
    void this.#showPlan(this.#planView(outcome.request.plan), outcome.request.steps);
  }

  #fail(error: unknown): void {
    if (this.#stop?.signal.aborted) return this.#dispatch({ kind: "cancelled" });
    const message = error instanceof Error ? error.message : String(error);
    this.#dispatch({ kind: "failed", message });
  }

  /** Shows a finished picture, and what draws it again in the address bar. */
  #present(outcome: Outcome): void {
    this.#last = outcome;
    this.#stage.finish(outcome);
    const { request } = outcome;
    const link = request.edit === undefined ? formatLink(request) : location.pathname; // which holds no pictures
    history.replaceState(null, "", link);
    byId("begin", HTMLButtonElement).hidden = this.#form?.model.edits !== true;
  }

  #pick(outcome: Outcome): void {
    if (isBusy(this.#state)) return;
    this.#form?.write(linkedOf(outcome.request));
    this.#present(outcome);
    byId("stage", HTMLElement).focus();
  }

  #dispatch(action: RunAction): void {
    this.#state = reduce(this.#state, action);
    this.#update();
  }

  #update(): void {
    const { phase, seconds } = this.#state;
    this.#stage.update(this.#state, this.#predicted);
    this.#map.mark(phase === "running" || phase === "cancelled" ? seconds.length : undefined);
    setText(byId("announcer", HTMLElement), announcement(this.#state));
  }

  #setBusy(busy: boolean): void {
    const [generate, cancel] = ["generate", "cancel"].map((id) => byId(id, HTMLButtonElement));
    const hadFocus = document.activeElement === (busy ? generate : cancel);
    generate!.disabled = busy; // both were found
    cancel!.hidden = !busy;
    if (hadFocus) (busy ? cancel : generate)!.focus();
    if (busy) byId("stage", HTMLElement).scrollIntoView({ block: "nearest", behavior: motion() });
  }

  #runnerOf(form: FormView, { edit }: RunRequest): Runner {
    const { api, browser, offer } = this.context;
    const { id, fingerprint, backend } = form.model;
    if (form.place === "server" || byId("place-field", HTMLElement).hidden) {
      const server = { api, backend: `the server, ${backend.description}`, decode: decodePicture };
      const hasJobs = offer.capabilities.routes.includes("POST /v1/jobs");
      return hasJobs && edit === undefined ? serverRunner(server) : streamRunner(server);
    }
    const base = new URL("page/", document.baseURI).href;
    const engine = byId("engine", HTMLSelectElement).value as BrowserBackend; // the shell's own options
    return browser.runner({ model: id, fingerprint, backend: engine, base });
  }

  /** Steps of the full run that a plan stands for: the model's own where its times are its own. */
  #stepsInFull({ model, plan, steps }: RunRequest): number {
    if (!this.#planView(plan)?.owns_times) return steps;
    return this.context.offer.models.find(({ id }) => id === model)?.sampler.steps ?? steps;
  }

  #planView(id: string | undefined): PlanView | undefined {
    return this.context.offer.plans.find((plan) => plan.id === id);
  }

  /** Shows a plan, or full computation, and tells its shape; the map is an ornament: it fails in silence. */
  async #showPlan(plan: PlanView | undefined, steps: number): Promise<PlanShape | undefined> {
    const wanted = this.#shown = { plan, steps };
    const shape = await this.#shapeOf(plan, steps).catch(() => undefined);
    if (shape === undefined) this.#shapes.delete(plan?.id ?? ""); // the next time may be better
    if (shape === undefined || this.#shown !== wanted) return shape;
    this.#rows = shape.rows;
    this.#map.show(shape);
    this.#update();
    return shape;
  }

  async #shapeOf(plan: PlanView | undefined, steps: number): Promise<PlanShape> {
    if (plan === undefined) return fullShape(steps, this.#rows);
    const path = `/v1/plans/${encodeURIComponent(plan.id)}`;
    const loading = this.#shapes.get(plan.id) ??
      this.context.api.json<PlanFile>(path).then(planShape);
    this.#shapes.set(plan.id, loading);
    return await loading;
  }

  #showPlace(form: FormView): void {
    const meta = document.querySelector<HTMLMetaElement>(`meta[name="${BROWSER_MODELS}"]`);
    const offered = meta?.content.split(" ").includes(form.model.id) === true;
    byId("place-field", HTMLElement).hidden = !offered;
    const isServer = form.place === "server" || !offered;
    byId("engine-field", HTMLElement).hidden = isServer;
    const words = isServer ? form.model.backend.description : browserWords();
    setText(byId("place-facts", HTMLElement), words);
  }
}

function summary(
  planned: RunResult,
  full: RunResult,
): { readonly seconds: number; readonly words: string } {
  const { seconds } = planned;
  const words = `Drawn in ${formatSeconds(seconds)} instead of ${formatSeconds(full.seconds)}.`;
  return { seconds, words };
}

function browserWords(): string {
  const threads = crossOriginIsolated ? navigator.hardwareConcurrency : 1;
  const gpu = "gpu" in navigator ? "WebGPU or " : "";
  return `${gpu}WebAssembly with ${threads} ${
    threads === 1 ? "thread" : "threads"
  }; about 30 MB once.`;
}

function motion(): ScrollBehavior {
  return matchMedia("(prefers-reduced-motion: reduce)").matches ? "instant" : "smooth";
}
