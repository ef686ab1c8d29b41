/**
 * Diffusion transformers for the web and the edge: published safetensors in, pictures out, through
 * onnxruntime-web on WebGPU or WebAssembly.
 *
 * ```ts ignore
 * import { encodePng, openPipeline, tileGrid, toPictures } from "@invardiff/edge";
 *
 * const pipeline = await openPipeline(); // the embedded model, the best backend found
 * const { latents } = await pipeline.generate({ labels: ["Sneaker", "Bag"], seed: 7 });
 * const png = await encodePng(tileGrid(toPictures(await pipeline.decode(latents))));
 * await pipeline.close();
 * ```
 *
 * @module
 */

export type { DownloadEvent, DownloadProgress } from "./src/assets/hub/download_meter.ts";
export type { DdimSpacing, SamplerDefaults, SigmaShift } from "./src/sampler/config.ts";
export type { ModelLocation } from "./src/assets/location.ts";
export { openParts } from "./src/assets/parted_source.ts";
export type { Fetch } from "./src/assets/store/ranged_response.ts";
export type { ByteRange, Source } from "./src/assets/source.ts";
export type { BackendName } from "./src/backend/backend.ts";
export type { DecodingOptions } from "./src/engine/decode/decoding.ts";
export { bundledPlans, findPlan, loadPlan, type NamedPlan } from "./src/engine/bundled_plans.ts";
export {
  type ModelFacts,
  openPipeline,
  type Pipeline,
  type PipelineOptions,
} from "./src/engine/library.ts";
export {
  estimateMemory,
  type MemoryReport,
  type MemoryRequest,
} from "./src/engine/memory/report.ts";
export type { MemoryNeeds } from "./src/engine/memory/needs.ts";
export type { BackendMemory, RunNeeds } from "./src/engine/memory/run.ts";
export { type GridOptions, type Picture, tileGrid, toPictures } from "./src/image/picture.ts";
export { EMBEDDED_MODEL, type Generated } from "./src/engine/pipeline.ts";
export type { LayerPrecision, WeightPrecision } from "./src/engine/precision/rounded_layers.ts";
export type { PrecisionReport } from "./src/engine/precision/choose.ts";
export { encodePng } from "./src/image/png.ts";
export { readPngText } from "./src/image/png_text.ts";
export type { PromptEncoder } from "./src/engine/prompts.ts";
export type { ConditionOptions, GenerateOptions } from "./src/engine/request.ts";
export type { RunResult, StepReport } from "./src/engine/run.ts";
export { AssetError, BackendError, PlanError } from "./src/errors.ts";
export type { Conditions } from "./src/model/scene.ts";
export type { Cell, State } from "./src/plan/cells.ts";
export type { StepKind } from "./src/plan/compile.ts";
export { formatPlan } from "./src/plan/format.ts";
export { parsePlan } from "./src/plan/parse.ts";
export type {
  Plan,
  PlanCalibration,
  PlanContext,
  PlanMeasurement,
  PlanPolicy,
  PlanSampler,
} from "./src/plan/plan.ts";
export type { ModuleRow, Row, StateRow } from "./src/plan/row.ts";
export type { SamplerState, StepTime } from "./src/sampler/sampler.ts";
export type { Tensor } from "./src/tensor/tensor.ts";
