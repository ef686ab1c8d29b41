/**
 * What one step of a run computes with.
 */

import type { Condition, Transformer } from "../model/module_graph.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { ConditioningTable } from "./conditioning.ts";
import type { FeatureCache } from "./feature_cache.ts";
import type { Values } from "./device_values.ts";

export interface StepInputs {
  /** Latents `(N, C, H, W)`, or packed `(N, T, C)`. */
  readonly latent: Tensor;
  /** Time and label of each of the N rows. */
  readonly batch: readonly Condition[];
  /** What every graph of the run may read, by name; the caller's. */
  readonly constants?: Values;
  /** Sizes that shapes name, the batch apart; the transformer's own unless given. */
  readonly sizes?: Transformer["sizes"];
  /** Rows and columns of the picture's tokens, where they form a grid. */
  readonly grid?: readonly number[] | undefined;
  /** Holds every condition of the batch. */
  readonly table: ConditioningTable;
  /** Also keep what lies between the halves of branches, for calibration. */
  readonly probe?: boolean | undefined;
  /** What earlier steps of the same run kept. */
  readonly features: FeatureCache;
  readonly signal?: AbortSignal | undefined;
  /** Asked at a step that keeps its trunk's residual. */
  readonly ask?: Ask | undefined;
}

/** A policy that decides at run time for which rows the rest of the trunk is needed. */
export interface Ask {
  /** How many modules run before it is asked. */
  readonly front: number;
  /**
   * The rows of the batch for which the other modules run, in order; to all others is added again what these modules
   * added at the last step that ran them for that row, and there must have been one.
   *
   * @param streams Of the step: what its first modules leave, and what they began with; the caller's.
   */
  rows(streams: { readonly begun: Values; readonly embedded: Values }): Promise<readonly number[]>;
}
