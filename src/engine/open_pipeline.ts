/**
 * How a library user opens a model.
 */

import type { ModelLocation } from "../assets/location.ts";
import { openEngine } from "./engine.ts";
import type { Pipeline, PipelineOptions } from "./pipeline.ts";

/**
 * Opens a model on a backend and loads its sessions.
 *
 * ```ts ignore
 * const pipeline = await openPipeline("hf://facebook/DiT-XL-2-256"); // the embedded model without one
 * const { pictures } = await pipeline.generate({ label: "golden retriever", seed: 7 });
 * await pipeline.close();
 * ```
 *
 * @param model The model's location, or all {@linkcode PipelineOptions}.
 * @throws {TypeError} When there is no such backend or precision.
 * @throws {AssetError} When the model cannot be opened.
 * @throws {BackendError} When the backend cannot be opened or its memory cannot hold the model.
 */
export async function openPipeline(
  model: string | URL | PipelineOptions = {},
): Promise<Pipeline> {
  const isLocation = typeof model === "string" || model instanceof URL;
  return await openEngine(isLocation ? { model: model satisfies ModelLocation } : model);
}
