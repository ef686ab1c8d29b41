/**
 * The HTTP server: an OpenAI-compatible image API, jobs with progress and previews, metrics.
 *
 * ```ts ignore
 * import { createApp, openRemoteRenderer } from "@invardiff/edge/server";
 *
 * const app = createApp({ renderers: [await openRemoteRenderer()] });
 * Deno.serve(app.fetch);
 * ```
 *
 * @module
 */

export { type LocalOptions, openLocalRenderer } from "../worker/local_renderer.ts";
export type { PictureConditions } from "../worker/picture_conditions.ts";
export {
  openRemoteRenderer,
  type RemoteOptions,
  type WorkerPort,
} from "../worker/remote_renderer.ts";
export type {
  Batch,
  PictureRequest,
  Rendered,
  Renderer,
  RendererCounts,
  RendererFacts,
  RenderOptions,
  RenderStep,
} from "../worker/renderer.ts";
export { type App, createApp } from "./app.ts";
export { type AppOptions, DEFAULT_LIMITS, type ServerLimits } from "./app_options.ts";
export { directoryAssets, type PageAsset, type PageAssets } from "./page_assets.ts";
export type { OpenQueue, QueueBounds } from "./job_queue.ts";
export type { RequestLimits } from "./api.ts";
export type { CompiledDecoders } from "../image/lossy_decoders.ts";
export type { BodyBounds } from "./read_body.ts";
export type { RateLimit } from "./rates.ts";
export type { AccessEntry, JobEntry } from "./log_entries.ts";
export type { Port, WorkerOptions } from "../worker/messages.ts";
export type { PromptExamples } from "../assets/manifest.ts";
export type { RecordFacts } from "../engine/picture_record.ts";
export type { PipelineOptions } from "../engine/pipeline.ts";
export type { ModelCost, ModuleCost } from "../plan/cost.ts";
export type { RuntimeFiles } from "../backend/runtime_files.ts";
