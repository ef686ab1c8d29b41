/**
 * A model opened from its directory: what it is, what it computes and how it is meant to be sampled; and
 * the kind of such models.
 */

import type { Manifest, PromptExamples } from "../assets/manifest.ts";
import type { SamplerDefaults } from "../sampler/config.ts";
import type { ModelDirectory, OpenOptions } from "../assets/model_dir.ts";
import type { Weights } from "../assets/weights.ts";
import type { Decodable } from "./vae/autoencoder.ts";
import type { Transformer } from "./module_graph.ts";
import type { Scene, SceneRequest } from "./scene.ts";
import type { ModelText } from "./text.ts";

/** Facts of a model that its tensors do not show, as in `model.json`: a packed copy must state them. */
export interface ModelOrigin extends Pick<Manifest, "architecture" | "licence" | "dataNotice"> {
  readonly config: unknown;
}

/** An opened model; its weights are read when they are needed. */
export interface Model extends Decodable {
  /** Short name: the manifest's, or the file's. */
  readonly id: string;
  readonly transformer: Transformer;
  /** Its weights, with computed buffers filled in. */
  readonly weights: Weights;
  /** Shape of a latent as planes, channels first, `[C, H, W]`; of the model's own size, where it can make others. */
  readonly latent: readonly number[];
  /** Size of such a picture in tokens, such as rows and columns. */
  readonly tokenGrid: readonly number[];
  /** Number of classes; labels are 0 … classes − 1. 0 where conditions are given with each request. */
  readonly classes: number;
  /** Name of each class, in label order; empty when unknown. */
  readonly classNames: readonly string[];
  /** Pictures may have any token grid. */
  readonly resizes?: true;
  /** Prompts that it draws well; absent where nothing says them. */
  readonly prompts?: PromptExamples | undefined;
  /** How it takes prompts; absent where its directory has no text encoders, or conditions are labels. */
  readonly text?: ModelText;
  /** How it is sampled unless the caller chooses otherwise. */
  readonly sampler: SamplerDefaults;
  /**
   * The scene of a run with these conditions.
   *
   * @throws {RangeError} When conditions do not fit the model or each other.
   */
  readonly scene: (request: SceneRequest) => Scene;
  /** Where it was opened, with all parts that a copy has to have; absent where it was not. */
  readonly directory?: ModelDirectory;
  /** What a packed copy must state. */
  readonly origin: ModelOrigin;
  /** Identity that plans bind to: equal for the same weights however they are packed. */
  fingerprint(): Promise<string>;
  close(): Promise<void>;
}

/** The caller's choices about a model. */
export interface ModelChoice extends OpenOptions {
  /** The original's sampler, whatever the directory's scheduler says, or another solver; absent = the directory's. */
  readonly sampler?: string | undefined;
}

/** A kind of model that we compute. */
export interface Family {
  /** Its name in `model.json` and in plans. */
  readonly architecture: string;
  /** As its authors call it. */
  readonly title: string;
  /** Class names in descriptions: of the transformer, the usual one first, and of the pipeline around it. */
  readonly classes: readonly string[];
  /**
   * Tensors that it is conditioned on, by their names in files, such as `text`; the first has a row for each
   * condition. None where conditions are labels.
   */
  readonly conditions: readonly string[];
  /** Whether a configuration, or names of tensors where the configuration does not tell, belong to this kind. */
  claims(config: unknown, names: ReadonlySet<string>): boolean;
  /**
   * Makes a model of a directory that it claims.
   *
   * @throws {AssetError} When tensors do not fit the configuration, or there is something that we do not compute.
   */
  open(directory: ModelDirectory, choice: ModelChoice): Promise<Model>;
}
