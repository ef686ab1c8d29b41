/**
 * One picture, made here or by the server: what is asked for, what happens meanwhile, what comes back.
 */

import type { StepKind } from "../plan/compile.ts";
import type { Pixels } from "./pixels.ts";

/** The picture that one begins from. */
export interface RunEdit {
  /** A picture file. */
  readonly image: Blob;
  /** Share of the steps that run, above 0 and at most 1. */
  readonly strength: number;
}

/** A picture to make. */
export interface RunRequest {
  readonly model: string;
  /** Its class; absent where there is a prompt. */
  readonly label?: number;
  /** What it shows, in words. */
  readonly prompt?: string;
  readonly seed: number;
  readonly steps: number;
  readonly guidance: number;
  /** Plan's id; without it every step is computed in full. */
  readonly plan?: string | undefined;
  /** What it begins from; absent = noise alone. */
  readonly edit?: RunEdit | undefined;
}

/** What happens on the way. */
export type RunEvent =
  | {
    readonly kind: "loading";
    readonly what: "bytes" | "graphs";
    readonly done: number;
    readonly total: number;
  }
  | { readonly kind: "queued"; readonly ahead: number }
  | { readonly kind: "drawing" } // by a server that does not tell its steps
  | { readonly kind: "started"; readonly kinds: readonly StepKind[] }
  | {
    readonly kind: "step";
    readonly index: number;
    readonly seconds: number;
    readonly elapsed: number;
    readonly eta: number | undefined;
  }
  | { readonly kind: "preview"; readonly pixels: Pixels };

/** A finished picture. */
export interface RunResult {
  readonly pixels: Pixels;
  /** The file, with its parameters inside. */
  readonly png: Blob;
  /** Seconds of the loop. */
  readonly seconds: number;
  /** What drew it, in words. */
  readonly backend: string;
  /** Circumstances worth telling, in sentences. */
  readonly notices: readonly string[];
}

/** How a run is watched and stopped. */
export interface RunOptions {
  /** Called for everything that happens. */
  readonly onEvent: (event: RunEvent) => void;
  readonly signal: AbortSignal;
}

/** Makes one picture. Rejects with the signal's reason when it is stopped. */
export type Runner = (request: RunRequest, options: RunOptions) => Promise<RunResult>;
