/**
 * The numbers of one step that a graph takes beside tensors of the run.
 */

import type { Backend } from "../../backend/backend.ts";
import type { Condition, Transformer } from "../../model/module_graph.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { ConditioningTable } from "../conditioning.ts";
import type { Values } from "../device_values.ts";
import { WEIGHTS } from "./kept_features.ts";
import { forecastWeights, modulated, MODULATION, type Segment } from "./segment.ts";

/** Uploads modulation vectors and weights of kept features, where a segment takes any; the caller disposes of them. */
export function uploadNumbers(
  segment: Segment,
  transformer: Transformer,
  { backend, table, batch }: {
    readonly backend: Backend;
    readonly table: ConditioningTable;
    readonly batch: readonly Condition[];
  },
): Values {
  const parts = modulated(transformer, segment);
  const weights = Float32Array.from(forecastWeights(segment));
  const tensors: Readonly<Record<string, Tensor>> = {
    ...(parts.length > 0 && { [MODULATION]: table.gather(parts, batch) }),
    ...(weights.length > 0 && { [WEIGHTS]: { dims: [weights.length], data: weights } }),
  };
  return Object.fromEntries(
    Object.entries(tensors).map(([name, tensor]) => [name, backend.upload(tensor)]),
  );
}
