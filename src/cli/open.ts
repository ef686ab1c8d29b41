/**
 * The pipeline that a command line asks for.
 *
 * @module
 */

import type { BackendName } from "../backend/backend.ts";
import { openPipeline, type Pipeline } from "../engine/pipeline.ts";
import { withDownloads } from "./download_progress.ts";

/** The options that every command with a model has. */
export interface ModelOptions {
  /** Directory, file, URL or `hf://` location; absent is the embedded model. */
  readonly model?: string;
  /** Provider's name, or `auto`. */
  readonly backend: BackendName | "auto";
  /** Threads of wasm and native. */
  readonly threads?: number;
}

/** Opens it; the caller closes it. */
export async function openFor(command: ModelOptions, signal: AbortSignal): Promise<Pipeline> {
  const { backend, model, threads } = command;
  return await withDownloads((onDownload) =>
    openPipeline({
      backend,
      signal,
      onDownload,
      ...(model !== undefined && { model }),
      ...(threads !== undefined && { threads }),
    })
  );
}
