/**
 * One run: conditioning ahead, then the sampler's loop over the steps of a plan.
 */

import type { CallStep, Step, StepKind } from "../plan/compile.ts";
import { commonKind, kindOf } from "../plan/step_counts.ts";
import {
  type Denoise,
  type SamplerState,
  sampleSteps,
  type SamplingLoop,
  startOf,
  type StepTime,
} from "../sampler/sampler.ts";
import { restored } from "../sampler/known.ts";
import type { Refined } from "../sampler/srds.ts";
import type { Tensor } from "../tensor/tensor.ts";
import {
  batchOf,
  type BatchPart,
  type BatchRun,
  guided,
  stepInputs,
  withPart,
} from "./batch_inputs.ts";
import { firstLatents } from "./begin.ts";
import { computeConditioning, type ConditioningTable, staysLoaded } from "./conditioning.ts";
import { makeConstants } from "./constants.ts";
import type { Gate } from "./policies/gate.ts";
import { disposeAll, type Values } from "./device_values.ts";

/** What a step made. */
export interface StepTensors {
  /** Latents `(n, C, H, W)` after this step; after the last one, the result. */
  readonly latents: Tensor;
  /** The sampler's state after this step: enough to continue from here. */
  readonly state: SamplerState;
  /** The final latents as predicted at this step, `(n, C, H, W)`, for a preview. */
  readonly estimate: Tensor;
}

/** The result of one step; its tensors are absent on a GPU where they were not asked for. */
export interface StepReport extends StepTime, Partial<StepTensors> {
  /** Steps of the run. */
  readonly steps: number;
  /** Index of the first picture of `latents`: pictures are made in batches. */
  readonly first: number;
  /** Steps of all batches that are finished. */
  readonly done: number;
  /** Steps of all batches. */
  readonly total: number;
  /** What the plan or policy let this step do, `mixed` where pictures differ; `full` without either. */
  readonly kind: StepKind;
  /** Seconds that this step took. */
  readonly seconds: number;
  /** Bytes of features and states that are kept after this step. */
  readonly keptBytes: number;
  /** By picture of its batch what a policy let this step do; absent without one. */
  readonly kinds?: readonly StepKind[];
}

/** The result of a step that the host advanced. */
export type HostStepReport = StepReport & StepTensors;

/** A finished batch. */
export interface BatchResult {
  /** Final latents `(n, C, H, W)`. */
  readonly latents: Tensor;
  /** Seconds of the loop, the sum of its steps; the first one's has what is uploaded for all of them. */
  readonly loopSeconds: number;
  /** Seconds of conditioning, ahead of the loop. */
  readonly conditioningSeconds: number;
  /** Seconds in which sessions were made for steps that no run before had; on a GPU only. */
  readonly preparationSeconds?: number;
  /** A sentence for each thing that did not go as it should. */
  readonly notices?: readonly string[];
  /** The most bytes of features and states kept at any moment. */
  readonly peakFeatureBytes: number;
  /** What the picture took, where its steps were computed beside each other. */
  readonly parallel?: Omit<Refined, "latent">;
}

/** A run of a batch. */
export interface Run extends BatchRun {
  /** What a policy decides of its steps; they keep the trunk's residual. */
  readonly gate?: Gate | undefined;
  /** Its place among the batches of one call; the only one unless given. */
  readonly place?: BatchPlace | undefined;
}

/** Where a batch stands among those of one call. */
export interface BatchPlace {
  readonly first: number;
  readonly batch: number;
  readonly batches: number;
}

const ONLY_BATCH: BatchPlace = { first: 0, batch: 0, batches: 1 };

/** Runs step by step; leaving the loop early frees everything. */
export async function* runSteps(run: Run): AsyncGenerator<HostStepReport, BatchResult, undefined> {
  const { request, features } = run;
  const started = performance.now();
  const table = await conditionRun(run);
  const conditioned = performance.now();
  let latents = firstLatents(request);
  let loopSeconds = 0;
  for await (const report of sampleFrom(run, { table, state: startOf(latents) })) {
    latents = report.latents;
    loopSeconds += report.seconds;
    yield report;
  }
  return {
    latents,
    loopSeconds,
    conditioningSeconds: (conditioned - started) / 1000,
    peakFeatureBytes: features.peakBytes,
  };
}

/** Runs steps to their result; `onStep` is called with each, and if it throws the steps free what they hold. */
export async function runToEnd<Step, Result>(
  steps: AsyncGenerator<Step, Result, undefined>,
  onStep?: (step: Step) => void | Promise<void>,
): Promise<Result> {
  try {
    for (let next = await steps.next();; next = await steps.next()) {
      if (next.done === true) return next.value;
      await onStep?.(next.value);
    }
  } catch (error) {
    await steps.throw(error);
    throw error;
  }
}

/** Where a loop begins. */
export interface StartingPoint {
  readonly table: ConditioningTable;
  /** The state before the first step that is run, which must not load what earlier steps would have kept. */
  readonly state: SamplerState;
}

/** The sampler's loop from some step to the end; leaving it early frees everything. */
export async function* sampleFrom(
  run: Run,
  { table, state: start }: StartingPoint,
): AsyncGenerator<HostStepReport, void, undefined> {
  const { request: { sampler }, features } = run;
  let before = performance.now();
  const constants = await constantsOf(run);
  const denoise = denoiser(run, { table, constants });
  try {
    for await (const step of sampleSteps(sampler, { start, denoise, restore: restorer(run) })) {
      yield {
        ...reportOf(run, step.index),
        latents: step.state.latent,
        state: step.state,
        estimate: step.estimate,
        seconds: (performance.now() - before) / 1000,
        keptBytes: features.bytes,
      };
      before = performance.now();
    }
  } finally {
    features.dispose();
    disposeAll(constants);
  }
}

/** What is known of a step before it runs. */
export function reportOf(
  { request: { sampler: { times } }, steps, gate, place = ONLY_BATCH }: Run,
  index: number,
): Omit<StepReport, "seconds" | "keptBytes"> {
  const { first, batch, batches } = place;
  const kinds = gate?.kindsOf(index);
  return {
    index,
    time: times[index]!, // a step of the run
    kind: commonKind(kinds ?? [kindOf(steps[index]!)]), // one for each time
    ...(kinds !== undefined && { kinds }),
    steps: steps.length,
    first,
    done: batch * steps.length + index + 1,
    total: batches * steps.length,
  };
}

/** Puts back after each step what a mask keeps of the picture that a run begins from. */
export function restorer({ request: { known, noise, sampler } }: Run): SamplingLoop["restore"] {
  if (known?.mask === undefined) return undefined;
  return ({ index, latent }) => {
    const point = index < sampler.times.length ? sampler.points[index] : undefined;
    return restored(latent, { known, noise, point });
  };
}

/** Uploads what every step of a run may read; the caller disposes of it. */
export function constantsOf(
  { model, executor: { backend, sessions }, request, signal }: Run,
): Promise<Values> {
  const { transformer: { preparation, conditioning }, weights } = model;
  const inputs = request.scene.inputs(batchOf({ request, steps: [] }, 0)); // rows are the same at all
  const kept = staysLoaded(conditioning) ? sessions : undefined; // it is smaller
  return makeConstants(inputs, { backend, preparation, weights, signal, sessions: kept });
}

export function conditionRun(run: Run): Promise<ConditioningTable> {
  const { model, executor: { backend, sessions }, request, signal } = run;
  const { transformer: { conditioning }, weights } = model;
  const { times, calls } = request.sampler;
  const conditions = times.flatMap((_, step) => calls?.[step] === false ? [] : batchOf(run, step));
  return computeConditioning(conditions, { backend, conditioning, weights, sessions, signal });
}

function denoiser(
  run: Run,
  { table, constants }: { readonly table: ConditioningTable; readonly constants: Values },
): Denoise {
  const { executor, steps, gate } = run;
  return async (latent, { index }) => {
    const step = callOf(steps[index]!); // one for each time
    const predict = async ({ run: of, latent, constants }: BatchPart): Promise<Tensor> => {
      const inputs = { ...stepInputs(of, { table, latent, index }), constants };
      const asked = { ...inputs, ask: gate?.ask?.(index, inputs) };
      return guided(await executor.runStep(step, asked), of);
    };
    const whole = { run, latent, constants };
    if (gate?.predict === undefined) return await predict(whole);
    return await gate.predict(index, latent, (pictures) => withPart(whole, pictures, predict));
  };
}

/** A step for which a sampler asks for a prediction. */
function callOf(step: Step): CallStep {
  if (step.kind !== "forecast") return step;
  throw new Error(
    `Internal error: step ${step.index} is forecast, but its sampler calls the model`,
  );
}
