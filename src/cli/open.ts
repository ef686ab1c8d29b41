/**
 * The pipeline that a command line asks for.
 *
 * @module
 */

import type { BackendName } from "../backend/backend.ts";
import { openPipeline, type Pipeline } from "../engine/pipeline.ts";
import type { WeightPrecision } from "../engine/precision.ts";

/** The options that every command with a model has. */
export interface ModelOptions {
  /** Directory, file or URL; absent is the embedded model. */
  readonly model?: string;
  /** Provider's name, or `auto`. */
  readonly backend: BackendName | "auto";
  /** Threads of wasm and native. */
  readonly threads?: number;
  /** Precision of weights; absent is the model's. */
  readonly weights?: WeightPrecision;
}

/** Opens it; the caller closes it. */
export function openFor(command: ModelOptions, signal: AbortSignal): Promise<Pipeline> {
  const { backend, model, threads, weights } = command;
  return openPipeline({
    backend,
    signal,
    ...(model !== undefined && { model }),
    ...(threads !== undefined && { threads }),
    ...(weights !== undefined && { weights }),
  });
}
