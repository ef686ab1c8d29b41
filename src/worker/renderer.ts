/**
 * A model that generates batches of pictures, on this thread or in a worker.
 */

import type { SamplerDefaults } from "../sampler/config.ts";
import type { PromptExamples } from "../assets/manifest.ts";
import type { BackendName } from "../backend/backend.ts";
import type { RecordFacts } from "../engine/picture_record.ts";
import type { PicturePrompt, PromptTokens } from "../engine/prompt_texts.ts";
import type { PreparingOptions } from "../engine/preparing.ts";
import type { EditOptions } from "../engine/request_edit.ts";
import type { StepKind } from "../plan/compile.ts";
import type { ModelCost } from "../plan/cost.ts";
import type { Plan } from "../plan/plan.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** One picture to generate; in one batch all have a prompt, or none has. */
export interface PictureRequest {
  /** Class index, or row of the conditions that the model was opened with; 0 unless given, unused with a prompt. */
  readonly label?: number;
  /** What it shows, in words; in one batch all have a negative prompt, or none has. */
  readonly prompt?: PicturePrompt;
  /** Its noise comes from this seed alone, whatever its neighbours in the batch. */
  readonly seed: number;
  /** Guidance scale; in one batch all are 1, or none is. */
  readonly guidance: number;
}

/** Pictures that are generated together, step by step. */
export interface Batch {
  /** At least one. */
  readonly pictures: readonly PictureRequest[];
  /** Sampling steps, 1 … 1000. */
  readonly steps: number;
  /** Another solver than the model's, as `generate()` takes it. */
  readonly sampler?: string | undefined;
  /** What to reuse at which step; without it everything runs. */
  readonly plan?: Plan | undefined;
  /** A policy that decides at each step of each picture, as `generate()` takes it; not beside a plan. */
  readonly policy?: string | undefined;
  /** The picture that all of them begin from; absent = noise alone. */
  readonly edit?: EditOptions | undefined;
  /** How far to lead away from the negative prompts; off unless given. */
  readonly trueGuidance?: number | undefined;
}

/** How a batch is watched and stopped. */
export interface RenderOptions extends PreparingOptions {
  /** Called after each step. */
  readonly onStep?: ((step: RenderStep) => void) | undefined;
  /** Whether steps come with a rough preview of the pictures. */
  readonly previews?: boolean | undefined;
  /** Stops before the next graph and frees everything. */
  readonly signal?: AbortSignal | undefined;
}

/** A finished step. */
export interface RenderStep {
  /** 0 is the noisiest. */
  readonly index: number;
  /** Steps of the batch. */
  readonly steps: number;
  /** What the plan let it do, or the policy: `mixed` where pictures differ. */
  readonly kind: StepKind;
  /** By picture what the policy let it do; absent without one. */
  readonly kinds?: readonly StepKind[] | undefined;
  /** Seconds that it took. */
  readonly seconds: number;
  /** Bytes of features and states kept after it. */
  readonly keptBytes: number;
  /** Preview of the pictures that are made together, `(n, 1 or 3, h, w)`; where previews were requested. */
  readonly preview?: Tensor | undefined;
}

/** A finished batch. */
export interface Rendered {
  /** Final latents `(n, C, H, W)`, or packed `(n, T, C)`. */
  readonly latents: Tensor;
  /** Pictures `(n, 1 or 3, H, W)` in about [-1, 1]; absent where nothing decodes latents. */
  readonly pictures?: Tensor | undefined;
  /** Seconds of the loop, the sum of its steps. */
  readonly loopSeconds: number;
  /** Seconds of conditioning, ahead of the loop. */
  readonly conditioningSeconds: number;
  /** Seconds from latents to pictures. */
  readonly decodingSeconds: number;
  /** The most bytes of features and states kept at any moment. */
  readonly peakFeatureBytes: number;
  /**
   * Circumstances in which the run differs from its plan's calibration, in sentences. What is to be said of a
   * prompt is not among them, for pictures of a batch may be of several people: `tokens` tell it.
   */
  readonly notices: readonly string[];
  /** How long each picture's prompt is to each text encoder; absent where nothing counts. */
  readonly tokens?: readonly (readonly PromptTokens[])[] | undefined;
  /** By picture, how many of its steps a policy had reuse what was there; absent without one. */
  readonly reused?: readonly number[] | undefined;
}

/** Facts of a renderer's model. */
export interface RendererFacts {
  /** Name of the model. */
  readonly id: string;
  /** Family of the model. */
  readonly architecture: string;
  /** Names of its modules, in execution order. */
  readonly modules: readonly string[];
  /** Multiply-accumulates of its parts. */
  readonly cost: ModelCost;
  /** Latent shape `[C, H, W]`. */
  readonly latent: readonly [number, number, number];
  /** A picture's shape `[1 or 3, H, W]`; absent where nothing decodes latents. */
  readonly picture?: readonly [number, number, number];
  /** Whether it draws any prompt; then there are no classes. */
  readonly takesPrompts: boolean;
  /** Prompts that its authors recommend; absent where they name none. */
  readonly prompts?: PromptExamples;
  /** Number of classes; for a text-conditioned model, of the conditions that it was opened with. */
  readonly classes: number;
  /** Name of each class; empty when unknown. */
  readonly classNames: readonly string[];
  /** Whether pictures may begin from a picture. */
  readonly edits: boolean;
  /** Names of the policies that may decide at each step; none where steps do not wait for the host. */
  readonly policies: readonly string[];
  /** Whether guidance other than 1 is possible. */
  readonly guidable: boolean;
  /** How it is sampled unless the caller chooses otherwise. */
  readonly sampler: SamplerDefaults;
  /** Identity that plans bind to. */
  readonly fingerprint: string;
  /** What the records of its pictures have in common. */
  readonly record: RecordFacts;
  /** What runs it and why. */
  readonly backend: {
    readonly name: BackendName;
    readonly description: string;
    readonly reason: string;
  };
}

/** How much is alive: 0 values and sessions after everything was disposed of. */
export interface RendererCounts {
  /** Device values. */
  readonly values: number;
  /** Loaded graphs. */
  readonly sessions: number;
}

/** A model on a backend, one batch after another. */
export interface Renderer {
  /** Facts of its model. */
  readonly facts: RendererFacts;
  /**
   * Generates a batch.
   *
   * @throws {RangeError | PlanError} When the batch does not fit the model.
   * @throws {BackendError} When the device fails.
   */
  render(batch: Batch, options?: RenderOptions): Promise<Rendered>;
  /** Counts of what is alive. */
  counts(): Promise<RendererCounts>;
  /** Frees everything. */
  close(): Promise<void>;
}
