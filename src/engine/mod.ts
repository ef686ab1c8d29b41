/**
 * The types of a pipeline's options and results.
 *
 * @module
 */

export type { BackendName } from "../backend/backend.ts";
export type { RuntimeFiles } from "../backend/runtime_files.ts";
export type { Conditions } from "../model/scene.ts";
export type { StepKind } from "../plan/compile.ts";
export type {
  FlowSampler,
  NoisePrediction,
  NoiseSampler,
  NoiseSpacing,
  SamplerDefaults,
  SigmaShift,
  SpacingKind,
} from "../sampler/config.ts";
export type { SamplerState, StepTime } from "../sampler/sampler.ts";
export type { NamedPlan } from "./bundled_plans.ts";
export type { DecodingOptions } from "./decode/decoding.ts";
export type { EditRecord } from "./edit_facts.ts";
export type { PrecisionReport } from "./precision/choose.ts";
export type {
  LayerPrecision,
  ProductPrecision,
  WeightPrecision,
} from "./precision/rounded_layers.ts";
export type { PicturePrompt, PromptText, PromptTokens } from "./prompt_texts.ts";
export type { EncodedPrompts, EncodeOptions, PromptEncoder } from "./prompts.ts";
export type { Preparing, PreparingOptions } from "./preparing.ts";
export type { ConditionOptions } from "./request.ts";
export type { EditOptions } from "./request_edit.ts";
export type { GuidanceOptions } from "./request_guidance.ts";
export type { PictureOptions } from "./request_pictures.ts";
export type { StepTensors } from "./run.ts";
