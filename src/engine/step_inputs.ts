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
  /** Holds every condition of the batch. */
  readonly table: ConditioningTable;
  /** Also keep what lies between the halves of branches, for calibration. */
  readonly probe?: boolean | undefined;
  /** What earlier steps of the same run kept. */
  readonly features: FeatureCache;
  readonly signal?: AbortSignal | undefined;
}
