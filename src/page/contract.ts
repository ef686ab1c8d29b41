/**
 * What the page knows of the server's answers: the fields that it shows, of those that the API gives.
 */

import type { PromptExamples } from "../assets/manifest.ts";
import type { Preparing } from "../engine/preparing.ts";
import type { StepKind } from "../plan/compile.ts";

/** Name of the `meta` element that lists, by id, the models that can run in the browser. */
export const BROWSER_MODELS = "invardiff-browser-models";

/** Folder of onnxruntime-web's files: the version is in its name, so that kept files of another are not taken. */
export const RUNTIME_FOLDER = "ort-1.30.0/";

/** Name of the array of a model's files, in the model's folder; nothing else is served of it. */
export const MODEL_FILES = "files.json";

/** A model of `GET /v1/models`. */
export interface ModelView {
  readonly id: string;
  /** Latent shape `[C, H, W]`. */
  readonly latent: readonly [number, number, number];
  /** Whether it draws any prompt; then it has no classes. */
  readonly takes_prompts: boolean;
  /** Prompts that it knows; null where nobody named any. */
  readonly prompts: PromptExamples | null;
  /** Its classes, in label order. */
  readonly classes: readonly ClassView[];
  /** Whether it can begin from a picture. */
  readonly edits: boolean;
  /** Whether guidance other than 1 is possible. */
  readonly guidable: boolean;
  /** How it is sampled unless asked otherwise. */
  readonly sampler: { readonly name: string; readonly steps: number; readonly guidance: number };
  /** Other solvers that it may be sampled by. */
  readonly samplers?: readonly string[];
  /** Identity of its weights. */
  readonly fingerprint: string;
  readonly backend: { readonly description: string };
  /** Ids of the plans that fit it. */
  readonly plans: readonly string[];
}

/** A class of a model. */
export interface ClassView {
  readonly label: number;
  readonly name: string;
}

/** A plan of `GET /v1/plans`. */
export interface PlanView {
  readonly id: string;
  readonly steps: number;
  /** Equal for plans that make equal pictures. */
  readonly digest: string;
  /** Whether its times are its own, so that no other steps go with it. */
  readonly owns_times: boolean;
  /** How many times less arithmetic it takes. */
  readonly predicted_speedup: number | null;
  readonly measured: { readonly values?: Readonly<Record<string, number>> } | null;
}

/** The part of `GET /v1/capabilities` that limits the form. */
export interface CapabilitiesView {
  readonly limits: { readonly steps: number };
  /** Method and path of each route. */
  readonly routes: readonly string[];
  /** How clients prove who they are. */
  readonly auth: "none" | "bearer";
}

/** A job, as far as its end is concerned. */
export interface JobView {
  readonly id: string;
  /** Seconds of its loop. */
  readonly seconds: number | null;
  readonly images: readonly unknown[];
  /** Circumstances in which it differs from its plan's calibration. */
  readonly notices: readonly string[];
  readonly error: { readonly message: string } | null;
}

/** Data of the events of `GET /v1/jobs/:id/events`. */
export interface JobEvents {
  readonly queued: { readonly queue_position: number | null; readonly eta_seconds: number | null };
  readonly started: { readonly steps: number; readonly kinds: readonly StepKind[] };
  readonly preparing: Preparing;
  readonly step: {
    readonly index: number;
    readonly seconds: number;
    readonly elapsed_seconds: number;
    readonly eta_seconds: number | null;
  };
  readonly preview: { readonly b64_json: string };
  readonly completed: JobView;
  readonly failed: JobView;
  readonly cancelled: JobView;
}
