/**
 * The public interface of a pipeline.
 */

import type { DownloadEvent } from "../assets/hub/download_meter.ts";
import type { ModelLocation } from "../assets/location.ts";
import type { SamplerDefaults } from "../sampler/config.ts";
import type { BackendName } from "../backend/backend.ts";
import type { RuntimeFiles } from "../backend/runtime_files.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { DecodingOptions } from "./decode/decoding.ts";
import type { Generated } from "./generated.ts";
import type { ProductPrecision, WeightPrecision } from "./precision/rounded_layers.ts";
import type { PromptEncoder } from "./prompts.ts";
import type { PrecisionReport } from "./precision/choose.ts";
import type { GenerateOptions } from "./request.ts";
import type { StepReport } from "./run.ts";

/** What to open. */
export interface PipelineOptions {
  /**
   * Directory, URL prefix, `hf://owner/name[@revision][/subfolder]`, .safetensors or .pt file, or files in
   * memory; the embedded model unless given.
   */
  readonly model?: ModelLocation | undefined;
  /**
   * Execution provider. `auto`, unless given, is WebGPU on a hardware adapter, else native where a local
   * `node_modules` has onnxruntime-node, else wasm.
   */
  readonly backend?: BackendName | "auto" | undefined;
  /** Threads of wasm and native; all cores unless given. */
  readonly threads?: number | undefined;
  /**
   * Precision of the weights of linear layers in modules: `f32`, unless given, or as the model was packed.
   * `int8` computes in integers, on wasm and native; `int4` takes an eighth of the memory.
   */
  readonly weights?: WeightPrecision | undefined;
  /**
   * In what linear layers of modules, and attention, are computed: `f16`, unless given, on WebGPU on a hardware adapter
   * with `shader-f16`, and `f32` elsewhere. Softmax, modulation, the stream that features are added to and its
   * norms are float32 in both.
   */
  readonly precision?: ProductPrecision | undefined;
  /**
   * onnxruntime-web's plain WebAssembly, compiled ahead: for runtimes that compile none from bytes
   * (workerd). With it, `auto` is wasm, on one thread.
   */
  readonly compiledModule?: WebAssembly.Module;
  /**
   * Where a browser finds onnxruntime-web's own `.mjs` and `.wasm` files, which a bundle does not contain;
   * beside the script unless given.
   */
  readonly runtimeFiles?: RuntimeFiles;
  /**
   * `original` samples as the model's authors do, whatever the directory's `scheduler_config.json` says:
   * for DiT their respacing of steps, and guidance on the first three channels. Else another solver than the
   * directory's, as {@linkcode GenerateOptions.sampler} has it.
   */
  readonly sampler?: "original" | (string & Record<never, never>) | undefined;
  /** Encodes prompts, for a text-conditioned model; the caller's own. */
  readonly promptEncoder?: PromptEncoder;
  /** Called after each session is loaded. */
  readonly onLoaded?: (done: number, total: number) => void;
  /** Called with the progress of files that come from a hub (`hf://`), and with what its cache answers. */
  readonly onDownload?: (event: DownloadEvent) => void;
  /** Stops opening. */
  readonly signal?: AbortSignal;
}

/** What an opened model is. */
export interface ModelFacts {
  /** Short name. */
  readonly id: string;
  /** Latent shape, such as `[C, H, W]`; of a picture of the model's own size, where it can make others. */
  readonly latent: readonly number[];
  /** Number of classes; labels are 0 … classes − 1. */
  readonly classes: number;
  /** Name of each class, in label order; empty when unknown. */
  readonly classNames: readonly string[];
  /** How it is sampled unless the caller chooses otherwise. */
  readonly sampler: SamplerDefaults;
  /** Identity that plans bind to: equal for the same weights however they are packed. */
  fingerprint(): Promise<string>;
}

/** A model on a backend, ready to generate. */
export interface Pipeline {
  /** The opened model. */
  readonly model: ModelFacts;
  /** What it runs on, in words such as `wasm, 2 threads`. */
  readonly backend: { readonly name: BackendName; readonly description: string };
  /** Precision of its weights, and what rounding did to each layer. */
  readonly precision: PrecisionReport;
  /**
   * Generates pictures; several batches where there are many.
   *
   * ```ts ignore
   * const { pictures } = await pipeline.generate({ prompt: "a person with sunglasses", seed: 7 });
   * await Deno.writeFile("avatar.png", await pictures[0].png());
   * ```
   *
   * @throws {RangeError | TypeError} When an option is out of range.
   * @throws {PlanError} When the plan does not fit.
   */
  generate(options?: GenerateOptions): Promise<Generated>;
  /** Runs step by step; leaving the loop early frees what the run held. */
  steps(options?: GenerateOptions): AsyncGenerator<StepReport, Generated, undefined>;
  /**
   * Pictures `(n, 1 or 3, H, W)` in about [-1, 1] of final latents, for {@linkcode toPictures}: by the
   * autoencoder of the model's pipeline directory, or as they are where latents are pixels.
   *
   * @throws {RangeError} When latents do not fit the model, or it has nothing to decode them with.
   */
  decode(latents: Tensor, options?: DecodingOptions): Promise<Tensor>;
  /**
   * A rough preview of intermediate latents, such as {@linkcode StepReport.estimate}: `(n, 1 or 3, h, w)` at a
   * small part of a step's cost. With an autoencoder, the first call takes longer.
   */
  preview(latents: Tensor, options?: DecodingOptions): Promise<Tensor>;
  /** Frees sessions, weights, backend and files; runs fail afterwards with a `BackendError` that says so. */
  close(): Promise<void>;
}
