/**
 * Messages between a renderer and its worker; all of them survive structured cloning.
 */

import type { PipelineOptions } from "../engine/pipeline.ts";
import type { Preparing } from "../engine/preparing.ts";
import { AssetError, BackendError, PlanError } from "../errors.ts";
import type { PictureConditions } from "./picture_conditions.ts";
import type { Batch, Rendered, RendererCounts, RendererFacts, RenderStep } from "./renderer.ts";

/** How the worker opens its model. */
export interface WorkerOptions extends
  Pick<
    PipelineOptions,
    "backend" | "precision" | "runtimeFiles" | "sampler" | "threads" | "weights"
  > {
  /** Directory, URL prefix or files in memory; the embedded model unless given. A URL is given as text. */
  readonly model?: string | ReadonlyMap<string, Uint8Array> | undefined;
  /** What labels select from, for a text-conditioned model. */
  readonly conditions?: PictureConditions | undefined;
}

/** To the worker. Every request is answered by one message of the same id. */
export type Request =
  | { readonly kind: "open"; readonly id: number; readonly options: WorkerOptions }
  | {
    readonly kind: "render";
    readonly id: number;
    readonly batch: Batch;
    readonly previews: boolean;
  }
  | { readonly kind: "cancel"; readonly id: number; readonly render: number }
  | { readonly kind: "counts"; readonly id: number }
  | { readonly kind: "close"; readonly id: number };

/** From the worker. What is told of a rendering, and loaded sessions, come before its answer. */
export type Reply =
  | { readonly kind: "loaded"; readonly id: number; readonly done: number; readonly total: number }
  | { readonly kind: "preparing"; readonly id: number; readonly progress: Preparing }
  | { readonly kind: "step"; readonly id: number; readonly step: RenderStep }
  | { readonly kind: "opened"; readonly id: number; readonly value: RendererFacts }
  | { readonly kind: "rendered"; readonly id: number; readonly value: Rendered }
  | { readonly kind: "counted"; readonly id: number; readonly value: RendererCounts }
  | { readonly kind: "done"; readonly id: number; readonly value: undefined }
  | { readonly kind: "failed"; readonly id: number; readonly error: SentError };

/** An error as sent between threads, since cloning would lose its class. */
export interface SentError {
  readonly name: string;
  readonly message: string;
}

/** One end of a channel: a worker as its maker sees it, or the worker's own global scope. */
export interface Port {
  /** Sends a message; what is listed is moved, not copied. */
  postMessage(message: unknown, transfer?: Transferable[]): void;
  /** Listens to messages and failures. */
  addEventListener(
    type: "message" | "error" | "messageerror",
    listener: (event: Event) => void,
  ): void;
}

const ERRORS: Readonly<Record<string, new (message: string) => Error>> = {
  AssetError,
  BackendError,
  PlanError,
  RangeError,
  TypeError,
};

/** Makes an error fit for a message. */
export function packError(error: unknown): SentError {
  return error instanceof Error
    ? { name: error.name, message: error.message }
    : { name: "Error", message: String(error) };
}

/** The error that was packed, of its own class where it is one that callers catch. */
export function unpackError({ name, message }: SentError): Error {
  if (name === "AbortError") return new DOMException(message, name);
  const known = Object.hasOwn(ERRORS, name) ? ERRORS[name] : undefined;
  return known === undefined ? new Error(message) : new known(message);
}
