/**
 * The options that every command with a model has, and the pipeline that they ask for.
 *
 * @module
 */

import { z } from "zod";
import type { BackendName } from "../backend/backend.ts";
import { openPipeline, type Pipeline } from "../engine/pipeline.ts";
import { PRECISIONS, type WeightPrecision } from "../engine/precision.ts";
import { withDownloads } from "./download_progress.ts";

/** What a command says of its model. */
export interface ModelOptions {
  /** Directory, file, URL or `hf://` location; absent is the embedded model. */
  readonly model?: string;
  /** The original's sampler instead of the directory's. */
  readonly sampler?: "original";
  /** Provider's name, or `auto`. */
  readonly backend: BackendName | "auto";
  /** Threads of wasm and native. */
  readonly threads?: number;
  /** Precision of weights; absent is the model's. */
  readonly weights?: WeightPrecision;
}

/** The same as `parseArgs` wants it. */
export const MODEL_WORDS = {
  model: { type: "string" },
  sampler: { type: "string" },
  backend: { type: "string" },
  threads: { type: "string" },
  weights: { type: "string" },
} as const;

/** What may be said with them. */
export const MODEL_FIELDS = {
  model: z.exactOptional(z.string().min(1, "must not be empty")),
  sampler: z.exactOptional(z.literal("original", "must be original")),
  backend: z.enum(["auto", "webgpu", "native", "wasm"], "must be auto, webgpu, native or wasm")
    .default("auto"),
  threads: z.exactOptional(
    z.string().regex(/^\d{1,9}$/, "must be a whole number").transform(Number)
      .refine((n) => n >= 1, "must be at least 1"),
  ),
  weights: z.exactOptional(z.enum(PRECISIONS, `must be ${PRECISIONS.join(", ")}`)),
};

/** Opens it; the caller closes it. */
export async function openFor(command: ModelOptions, signal: AbortSignal): Promise<Pipeline> {
  return await withDownloads((onDownload) =>
    openPipeline({ ...pipelineOptions(command), signal, onDownload })
  );
}

/** A command's options of its model, and nothing else of it. */
export function pipelineOptions(
  { backend, model, sampler, threads, weights }: ModelOptions,
): ModelOptions {
  return {
    backend,
    ...(model !== undefined && { model }),
    ...(sampler !== undefined && { sampler }),
    ...(threads !== undefined && { threads }),
    ...(weights !== undefined && { weights }),
  };
}
