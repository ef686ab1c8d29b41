/**
 * Diffusion transformers for the web and the edge: published safetensors in, pictures out, through
 * onnxruntime-web on WebGPU or WebAssembly.
 *
 * ```ts ignore
 * import { encodePng, openPipeline, tileGrid, toPictures } from "@invardiff/edge";
 *
 * const pipeline = await openPipeline(); // the embedded model, the best backend found
 * const { latents } = await pipeline.generate({ labels: ["Sneaker", "Bag"], seed: 7 });
 * await pipeline.close();
 * const png = await encodePng(tileGrid(toPictures(latents)));
 * ```
 *
 * @module
 */

export { AssetError, BackendError, PlanError } from "./src/errors.ts";
export {
  EMBEDDED_MODEL,
  type Generated,
  type GenerateOptions,
  openPipeline,
  type Pipeline,
  type PipelineOptions,
  type StepReport,
} from "./src/engine/pipeline.ts";
export { type GridOptions, type Picture, tileGrid, toPictures } from "./src/engine/picture.ts";
export { encodePng, readPngText } from "./src/engine/png.ts";
export type { Tensor } from "./src/tensor/tensor.ts";
