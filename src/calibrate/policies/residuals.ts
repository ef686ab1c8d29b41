/**
 * The trunk's residuals of runs in full, step by step.
 */

import { takeDown } from "../../engine/device_values.ts";
import { FeatureCache } from "../../engine/feature_cache.ts";
import { type Run, runSteps } from "../../engine/run.ts";
import { fullStep } from "../../engine/segment/step_segments.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { requestOf } from "../task.ts";
import type { PolicyTask } from "./policy.ts";

/** A step with its residual: what the trunk adds to what it is given, `(rows, tokens, width)`. */
export interface RecordedResidual {
  readonly index: number;
  readonly residual: Tensor;
}

/** Runs every step in full and keeps of each but the residual; one batch. A gate may look on. */
export async function* recordResiduals(
  task: PolicyTask,
  gate?: Run["gate"],
): AsyncGenerator<RecordedResidual> {
  const { pipeline: { model, executor, backend }, signal } = task;
  const request = requestOf(task);
  const features = new FeatureCache();
  const full = { ...fullStep(model.transformer.modules.length), storeResidual: true };
  const steps = Array.from({ length: request.steps }, (_, index) => ({ ...full, index }));
  const run: Run = { model, executor, request, steps, features, signal, gate };
  for await (const { index } of runSteps(run)) {
    const [value] = features.take(`${full.slot} residual`); // as the executor names what it keeps
    if (value === undefined) throw new Error("Internal error: the residual was not stored");
    yield { index, residual: await takeDown(backend, value) };
  }
}
