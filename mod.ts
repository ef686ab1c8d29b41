/**
 * Diffusion transformers for the web and the edge: published safetensors in, pictures out, through
 * onnxruntime-web on WebGPU or WebAssembly, in a fraction of the steps' time by a precomputed plan.
 *
 * ```ts ignore
 * import { openPipeline } from "@invardiff/edge";
 *
 * const pipeline = await openPipeline(); // the embedded model, the best backend found
 * const { pictures } = await pipeline.generate({ prompt: "a person with sunglasses", seed: 7 });
 * await Deno.writeFile("avatar.png", await pictures[0].png());
 * await pipeline.close();
 * ```
 *
 * More is in the package's other entries: `./pipeline`, `./plan`, `./calibrate`, `./memory`, `./png`, `./assets`,
 * `./server`, `./cli`, `./web-worker`, `./cloudflare`, `./deno`, `./bun`.
 *
 * @module
 */

export { calibrate, compare } from "./src/calibrate/mod.ts";
export { bundledPlans, findPlan, loadPlan, type PlannedModel } from "./src/engine/bundled_plans.ts";
export { EMBEDDED_MODEL } from "./src/engine/embedded_model.ts";
export type { Generated, GeneratedPicture } from "./src/engine/generated.ts";
export { estimateMemory } from "./src/engine/memory/report.ts";
export { openPipeline } from "./src/engine/open_pipeline.ts";
export type { ModelFacts, Pipeline, PipelineOptions } from "./src/engine/pipeline.ts";
export type { Decided } from "./src/engine/policies/gate.ts";
export type { ParallelRecord } from "./src/engine/generated.ts";
export { policyOfPlan } from "./src/engine/policies/of_plan.ts";
export type { GenerateOptions } from "./src/engine/request.ts";
export type { StepReport } from "./src/engine/run.ts";
export { AssetError, BackendError, PlanError } from "./src/errors.ts";
export { tileGrid, toPictures } from "./src/image/picture.ts";
export { encodePng } from "./src/image/png.ts";
export { formatPlan } from "./src/plan/format.ts";
export { parsePlan } from "./src/plan/parse.ts";
export type { Plan } from "./src/plan/plan.ts";
export type { Tensor } from "./src/tensor/tensor.ts";
