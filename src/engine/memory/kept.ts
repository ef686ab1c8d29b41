/**
 * Bytes that a run keeps between steps.
 */

import type { Transformer } from "../../model/module_graph.ts";
import type { CompiledPlan, Step } from "../../plan/compile.ts";
import { peakLiveBytes, placedBytes } from "../../plan/cost.ts";
import type { PlanRows } from "../../plan/plan.ts";
import { featureSizes } from "../plan_facts.ts";

/** How much is kept, by how it is kept. */
export interface KeptBytes {
  /** At most at any moment, where each feature and state is dropped after its last use. */
  readonly features: number;
  /** Where each has a place of its own for the whole run: on a GPU, for runs that stay there. */
  readonly places: number;
}

/** What a run of a plan keeps with so many rows. */
export function keptBytes(
  compiled: Pick<CompiledPlan<PlanRows>, "plan" | "steps">,
  { transformer, rows }: { readonly transformer: Transformer; readonly rows: number },
): KeptBytes {
  const sizes = featureSizes(transformer, rows);
  return { features: peakLiveBytes(compiled, sizes), places: placedBytes(compiled, sizes) };
}

/** What a run without a plan keeps: the residual of the trunk, where a policy decides whether it is added again. */
export function residualBytes(
  steps: readonly Step[],
  { transformer, rows }: { readonly transformer: Transformer; readonly rows: number },
): KeptBytes {
  const keeps = steps.some((step) => "storeResidual" in step && step.storeResidual);
  const features = keeps ? featureSizes(transformer, rows).residual : 0;
  return { features, places: features };
}
