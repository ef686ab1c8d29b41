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

/**
 * What a run without a plan keeps, where a policy decides for each picture whether the trunk's residual is added again:
 * that residual and the numbers that its rule remembers; and while some rows of a batch run, what all of them began with.
 */
export function residualBytes(
  steps: readonly Step[],
  { transformer, rows, pictures }: {
    readonly transformer: Transformer;
    readonly rows: number;
    readonly pictures: number;
  },
): KeptBytes {
  const keeps = steps.some((step) => "storeResidual" in step && step.storeResidual);
  const { residual } = featureSizes(transformer, rows);
  const features = keeps ? residual * (pictures > 1 ? 4 : 2) : 0;
  return { features, places: features };
}
