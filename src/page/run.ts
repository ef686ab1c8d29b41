/**
 * One picture, made here or by the server: what is asked for, what happens meanwhile, what comes back.
 */

import type { Picture } from "../image/picture.ts";
import type { Preparing } from "../engine/preparing.ts";
import type { StepKind } from "../plan/compile.ts";
import type { Pixels } from "./pixels.ts";

/** What the browser runs with: a provider, or `auto`: WebGPU on a hardware adapter, else WASM. */
export type BrowserBackend = "auto" | "webgpu" | "wasm";

/** The picture that one begins from. */
export interface RunEdit {
  /** A picture file. */
  readonly image: Blob;
  /** White where it is drawn anew, grey and of its size; all of it unless given. */
  readonly mask?: Picture | undefined;
  /** Share of the steps that run, above 0 and at most 1. */
  readonly strength: number;
}

/** A picture to make. */
export interface RunRequest {
  readonly model: string;
  /** Its class; absent where there is a prompt. */
  readonly label?: number | undefined;
  /** What it shows, in words. */
  readonly prompt?: string | undefined;
  /** What it shall not show, in words. */
  readonly negativePrompt?: string | undefined;
  /** How far to lead away from that. */
  readonly trueGuidance?: number | undefined;
  readonly seed: number;
  readonly steps: number;
  /** The solver; absent = the model's own. */
  readonly sampler?: string | undefined;
  readonly guidance: number;
  /** Plan's id; without it every step is computed in full. */
  readonly plan?: string | undefined;
  /** What it runs on in this browser; absent = it is drawn by the server. */
  readonly engine?: BrowserBackend | undefined;
  /** What it begins from; absent = noise alone. */
  readonly edit?: RunEdit | undefined;
}

/** What happens on the way. */
export type RunEvent =
  | {
    readonly kind: "loading";
    readonly what: "bytes" | Preparing["what"];
    readonly done: number;
    readonly total: number;
  }
  | { readonly kind: "queued"; readonly ahead: number; readonly eta: number | undefined }
  | { readonly kind: "refused"; readonly why: string; readonly seconds: number } // it is asked again then
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
  /** Seconds of the loop; absent of a picture that was not drawn here. */
  readonly seconds?: number | undefined;
  /** What drew it, in words; absent as above. */
  readonly backend?: string | undefined;
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
