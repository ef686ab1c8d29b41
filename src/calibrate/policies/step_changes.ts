/**
 * How far the first block's input, and what the trunk adds, move from step to step of runs in full.
 */

import { takeDown } from "../../engine/device_values.ts";
import { FeatureCache } from "../../engine/feature_cache.ts";
import { readSignal, relativeChange } from "../../engine/policies/signals.ts";
import { type Run, runSteps } from "../../engine/run.ts";
import { fullStep } from "../../engine/segment/step_segments.ts";
import { PlanError } from "../../errors.ts";
import { requestOf, sliceConditions } from "../task.ts";
import type { PolicyTask } from "./policy.ts";

/** Relative changes since the step before. */
export interface Change {
  /** Of what the first block is given, normalised and modulated. */
  readonly input: number;
  /** Of what the trunk adds. */
  readonly output: number;
}

/**
 * By step, but for the first: the changes of each run, of both guided halves together.
 *
 * @throws {PlanError} When a change is not finite.
 */
export async function recordChanges(task: PolicyTask): Promise<readonly (readonly Change[])[]> {
  const { conditions, steps, onProgress } = task;
  const { length: runs } = conditions.labels;
  const found: Change[][] = Array.from({ length: steps - 1 }, () => []);
  for (let run = 0; run < runs; run++) {
    const recorded = recordRun({ ...task, conditions: sliceConditions(conditions, run, 1) });
    let before: Recorded | undefined;
    for await (const now of recorded) {
      if (before !== undefined) found[now.index - 1]!.push(changeOf(now, before)); // not the first step
      before = now;
      onProgress?.(run * steps + now.index + 1, runs * steps);
    }
  }
  return found;
}

interface Recorded {
  readonly index: number;
  readonly input: Float32Array;
  readonly output: Float32Array;
}

function changeOf(now: Recorded, before: Recorded): Change {
  const input = relativeChange(now.input, before.input);
  const output = relativeChange(now.output, before.output);
  if (Number.isFinite(input) && Number.isFinite(output)) return { input, output };
  throw new PlanError(
    `Cannot calibrate: changes at step ${now.index} must be finite: current value is ${input}, ${output}`,
  );
}

/** Runs every step in full. */
async function* recordRun(task: PolicyTask): AsyncGenerator<Recorded> {
  const { pipeline: { model, executor, backend }, signal } = task;
  const request = requestOf(task);
  const features = new FeatureCache();
  const full = { ...fullStep(model.transformer.modules.length), storeResidual: true };
  const steps = Array.from({ length: request.steps }, (_, index) => ({ ...full, index }));
  let input: Float32Array = new Float32Array();
  const gate: Run["gate"] = {
    ask: (_, inputs) => ({
      front: 0,
      reuses: async (streams) => {
        input = await readSignal("first-input", streams, { executor, inputs });
        return false;
      },
    }),
    kindOf: () => undefined,
  };
  for await (
    const { index } of runSteps({ model, executor, request, steps, features, signal, gate })
  ) {
    const [value] = features.take(`${full.slot} residual`); // as the executor names what it keeps
    if (value === undefined) throw new Error("Internal error: the residual was not stored");
    yield { index, input, output: (await takeDown(backend, value)).data };
  }
}
