/**
 * Where the page's run stands, as a pure function of what was heard.
 */

import type { StepKind } from "../plan/compile.ts";
import { formatByteProgress, formatCount, formatSeconds } from "./format.ts";
import type { RunEvent } from "./run.ts";

/** Which of the two runs of a comparison: with the plan, or in full. */
export type Pass = "planned" | "full";

/** A picture of a series. */
export interface Place {
  /** 1 … of. */
  readonly picture: number;
  readonly of: number;
}

/** A run and how far it is. */
export interface RunState {
  /** What it does now. */
  readonly phase: "idle" | "waiting" | "loading" | "running" | "finished" | "failed" | "cancelled";
  readonly pass: Pass;
  /** Which of the pictures that were asked for at once; absent = it is the only one. */
  readonly place?: Place | undefined;
  /** Steps of the full run that it stands for; absent = as many as it has. */
  readonly inFull?: number | undefined;
  readonly kinds: readonly StepKind[];
  /** Seconds of each finished step. */
  readonly seconds: readonly number[];
  /** Seconds since its first step. */
  readonly elapsed: number;
  /** Seconds until its end. */
  readonly eta?: number | undefined;
  /** What it waits for, how it ended or why it failed, in words. */
  readonly words: string;
  /** Share of loading that is done, 0 … 1. */
  readonly loaded: number;
}

/** What changes the state: what a run tells, and what its starter knows. */
export type RunAction =
  | RunEvent
  | {
    readonly kind: "asked";
    readonly pass: Pass;
    readonly inFull?: number | undefined;
    readonly place?: Place | undefined;
  }
  | { readonly kind: "shown"; readonly words: string }
  | { readonly kind: "finished"; readonly seconds: number; readonly words?: string | undefined }
  | { readonly kind: "failed"; readonly message: string }
  | { readonly kind: "cancelled" };

/** Before anything was asked for. */
export const IDLE: RunState = {
  phase: "idle",
  pass: "planned",
  kinds: [],
  seconds: [],
  elapsed: 0,
  words: "",
  loaded: 0,
};

/** The state after an action. */
export function reduce(state: RunState, action: RunAction): RunState {
  switch (action.kind) {
    case "asked": {
      const { pass, inFull, place } = action;
      return { ...IDLE, phase: "waiting", pass, inFull, place, words: "Asking…" };
    }
    case "queued":
      return { ...state, phase: "waiting", words: queueWords(action) };
    case "refused":
      return { ...state, phase: "waiting", words: refusalWords(action) };
    case "drawing":
      return { ...state, phase: "waiting", words: "Drawing…" };
    case "loading":
      return {
        ...state,
        phase: "loading",
        words: LOADING[action.what](action.done, action.total),
        loaded: shareOf(action),
      };
    case "started":
      return { ...state, phase: "running", kinds: action.kinds, words: "" };
    case "step":
      return { // which ends what was prepared
        ...state,
        phase: "running",
        seconds: [...state.seconds, action.seconds],
        elapsed: action.elapsed,
        eta: action.eta,
      };
    case "shown":
      return { ...IDLE, phase: "finished", words: action.words };
    case "preview":
      return state;
    case "finished":
      return finished(state, action);
    case "failed":
      return { ...state, phase: "failed", words: action.message };
    case "cancelled":
      return { ...state, phase: "cancelled" };
  }
}

function finished(
  state: RunState,
  { seconds, words }: RunAction & { readonly kind: "finished" },
): RunState {
  const steps = state.kinds.length === 0 ? "Drawn" : formatCount(state.kinds.length, "step");
  const told = words ?? `${steps} in ${formatSeconds(seconds)}.`;
  return { ...state, phase: "finished", elapsed: seconds, eta: undefined, words: told };
}

/** Whether a run is under way. */
export function isBusy({ phase }: RunState): boolean {
  return phase === "waiting" || phase === "loading" || phase === "running";
}

/** Share that is done, 0 … 1; `undefined` while it waits. */
export function progressOf({ phase, seconds, kinds, loaded }: RunState): number | undefined {
  if (phase === "loading") return loaded;
  if (phase === "finished") return 1;
  return phase === "running" && kinds.length > 0 ? seconds.length / kinds.length : undefined;
}

/** The state in a line. */
export function statusLine(state: RunState): string {
  const { phase, words, seconds, kinds, eta } = state;
  const place = placeWords(state);
  if (phase === "cancelled") {
    const after = seconds.length === 0 ? "" : ` after ${formatCount(seconds.length, "step")}`;
    return `${place}Cancelled${after}.`;
  }
  if (phase !== "running") return `${place}${words}`;
  const what = seconds.length === 0 ? "" : `, ${DONE[kinds[seconds.length - 1] ?? "full"]}`;
  const rest = eta === undefined ? "" : ` · ${formatSeconds(eta)} left`;
  return `${place}${passWords(state)} ${seconds.length} of ${kinds.length}${what}${rest}`;
}

/** What is said aloud: the turns of a run, not its steps. */
export function announcement(state: RunState): string {
  if (state.phase === "idle") return "";
  const { length } = state.kinds;
  if (state.phase === "loading" && length === 0) return "Loading the model into this browser.";
  if (state.phase === "running" || state.phase === "loading") {
    return `${placeWords(state)}${passWords(state)}, ${length} in all.`;
  }
  return statusLine(state);
}

/**
 * How many times faster than full computation, told by the run itself: its full steps say what a step costs.
 * `undefined` before a full step is done, and where all steps are full and no fewer than in the run that it stands for.
 */
export function ownSpeedup(
  { seconds, kinds, inFull = kinds.length }: RunState,
): number | undefined {
  const full = seconds.filter((_, i) => kinds[i] === "full").sort((a, b) => a - b);
  const saves = full.length < seconds.length || kinds.length < inFull;
  if (full.length === 0 || !saves) return undefined;
  const median = full[Math.floor(full.length / 2)]!; // not empty
  const spent = seconds.reduce((sum, each) => sum + each, 0);
  const replaced = seconds.length * inFull / kinds.length;
  return spent > 0 ? median * replaced / spent : undefined;
}

const DONE: Readonly<Record<StepKind, string>> = {
  full: "computed",
  mixed: "reused in part",
  reuse: "reused",
  forecast: "forecast",
};

function passWords({ pass }: RunState): string {
  return pass === "full" ? "Full computation: step" : "Step";
}

function placeWords({ place }: RunState): string {
  return place === undefined ? "" : `Picture ${place.picture} of ${place.of} · `;
}

function queueWords({ ahead, eta }: RunEvent & { readonly kind: "queued" }): string {
  const place = ahead === 0 ? "Next in line" : `Place ${ahead + 1} in the queue`;
  return eta === undefined ? `${place}…` : `${place}, drawn in about ${formatSeconds(eta)}…`;
}

function refusalWords({ why, seconds }: RunEvent & { readonly kind: "refused" }): string {
  return `${why.replace(/\.?$/, ".")} This page asks again in ${seconds} s…`;
}

type Loading = RunEvent & { readonly kind: "loading" };

const LOADING: Readonly<Record<Loading["what"], (done: number, total: number) => string>> = {
  bytes: (done, total) => `Loading the model into this browser, ${formatByteProgress(done, total)}`,
  prompts: (done, total) => `Reading the prompt, ${done} of ${total} graphs`,
  graphs: (done, total) => `Preparing the model, ${done} of ${total} graphs`,
};

/** Where each begins and ends in the bar of progress: bytes take the longest. */
const SHARES: Readonly<Record<Loading["what"], readonly [number, number]>> = {
  bytes: [0, 0.9],
  prompts: [0.9, 0.95],
  graphs: [0.95, 1],
};

function shareOf({ what, done, total }: Loading): number {
  const [begin, end] = SHARES[what];
  return begin + (total > 0 ? done / total : 0) * (end - begin);
}
