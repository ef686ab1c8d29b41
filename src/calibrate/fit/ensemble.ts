/**
 * Many runs side by side, in batches: what one step of all of them predicts.
 */

import { PlanError } from "../../errors.ts";
import { computeConditioning, type ConditioningTable } from "../../engine/conditioning.ts";
import { disposeAll, type Values } from "../../engine/device_values.ts";
import { MAX_BATCH } from "../../engine/max_batch.ts";
import { FeatureCache } from "../../engine/feature_cache.ts";
import { guided, stepInputs } from "../../engine/batch_inputs.ts";
import { constantsOf, type Run } from "../../engine/run.ts";
import { fullStep } from "../../engine/segment/step_segments.ts";
import type { CallStep } from "../../plan/compile.ts";
import type { Condition } from "../../model/module_graph.ts";
import { type CalibrationTask, requestOf, sliceConditions } from "../task.ts";

/** A batch of runs. */
interface Batch {
  readonly run: Run;
  readonly constants: Values;
}

/** Runs of one model that go from step to step together. */
export interface Ensemble {
  /** How many runs. */
  readonly runs: number;
  /** Starting noise of all of them, one after the other. */
  readonly noise: Float32Array;
  /**
   * What a solver receives for these latents, run by run, at one of the times that it was opened for.
   *
   * @param step What is computed; everything unless given. What it keeps is there until all is forgotten.
   */
  predict(latents: Float32Array, time: number, step?: CallStep): Promise<Float32Array>;
  /** Frees what steps kept. */
  forget(): void;
  /** Frees what is on the device. */
  close(): void;
}

/**
 * Opens the runs of a task's conditions for these times.
 *
 * @throws {PlanError} When the model is told how long each step is, which times outside of a run do not say.
 */
export async function openEnsemble(
  task: Pick<CalibrationTask, "pipeline" | "conditions" | "guidance" | "signal">,
  times: readonly number[],
): Promise<Ensemble> {
  const { pipeline: { model, executor }, conditions, signal } = task;
  if (model.transformer.depthGroup !== undefined) {
    throw new PlanError(
      `Cannot calibrate ${model.id}: this mode or policy asks for times outside of a run, and the model is told how ` +
        "long each step of a run is.",
    );
  }
  const { labels, noise } = conditions;
  const batches: Batch[] = [];
  for (let first = 0; first < labels.length; first += MAX_BATCH) {
    const part = sliceConditions(conditions, first, MAX_BATCH);
    const request = requestOf({ ...task, conditions: part, steps: 1 });
    const run = { model, executor, request, steps: [], features: new FeatureCache(), signal };
    batches.push({ run, constants: await constantsOf(run) });
  }
  const table = await conditioningOf(batches, times);
  const full = fullStep(model.transformer.modules.length);
  return {
    runs: labels.length,
    noise: noise.data,
    async predict(latents, time, step = full): Promise<Float32Array> {
      const outputs = new Float32Array(latents.length);
      let at = 0;
      for (const { run, constants } of batches) {
        const { dims, data: { length } } = run.request.noise;
        const latent = { dims, data: latents.subarray(at, at + length) };
        const batch = conditionsOf(run, time);
        const inputs = { ...stepInputs(run, { table, latent, batch }), constants };
        outputs.set(guided(await executor.runStep(step, inputs), run).data, at);
        at += length;
      }
      return outputs;
    },
    forget: () => batches.forEach(({ run }) => run.features.dispose()),
    close: () =>
      batches.forEach(({ run, constants }) => {
        run.features.dispose();
        disposeAll(constants);
      }),
  };
}

/** Conditioning of every run at every time. */
function conditioningOf(
  batches: readonly Batch[],
  times: readonly number[],
): Promise<ConditioningTable> {
  const { model: { transformer, weights }, executor: { backend }, signal } = batches[0]!.run; // at least one
  const conditions = batches.flatMap(({ run }) => times.flatMap((time) => conditionsOf(run, time)));
  const { conditioning } = transformer;
  return computeConditioning(conditions, { backend, conditioning, weights, signal });
}

function conditionsOf({ request }: Run, time: number): readonly Condition[] {
  const { labels, guidance, scales, scene } = request;
  return scene.batch(labels, { time, guidance, scales });
}
