/**
 * Trial runs: the same conditions with different steps, each compared with the full run.
 */

import type { Engine } from "../engine/engine.ts";
import { FeatureCache } from "../engine/feature_cache.ts";
import type { ResolvedRequest } from "../engine/request.ts";
import { conditionRun, type Run, sampleFrom } from "../engine/run.ts";
import { fullSteps } from "../engine/segment/step_segments.ts";
import type { ConditioningTable } from "../engine/conditioning.ts";
import type { Step } from "../plan/compile.ts";
import { type SamplerState, startOf } from "../sampler/sampler.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { mean } from "./median.ts";
import { picturesOf, psnrOf } from "./pictures.ts";

export interface TrialSubject {
  readonly pipeline: Engine;
  /** Labels, seed or noise, steps and guidance of every trial. */
  readonly request: ResolvedRequest;
  readonly signal?: AbortSignal | undefined;
}

/** The sampler's state before each step, and after the last one. */
export type SamplerStates = readonly SamplerState[];

/** Conditions with their full run. */
export interface Trials {
  readonly subject: TrialSubject;
  /** Times at which the model is called, noisiest first. */
  readonly times: readonly number[];
  readonly table: ConditioningTable;
  /** The full run: `steps + 1` states. */
  readonly full: SamplerStates;
}

/** Runs the conditions in full. */
export async function openTrials(subject: TrialSubject): Promise<Trials> {
  const { pipeline: { model }, request } = subject;
  const steps = fullSteps(request.steps, model.transformer.modules.length);
  const table = await conditionRun(runOf(subject, steps));
  const state = startOf(request.noise);
  const states = await collect(runOf(subject, steps), { table, state });
  return { subject, times: request.sampler.times, table, full: [state, ...states] };
}

/**
 * Runs the conditions under other steps, from the last of the states that are known.
 *
 * @returns All states of the trial, `steps + 1`.
 */
export async function trial(
  { subject, table, full }: Trials,
  steps: readonly Step[],
  known: SamplerStates = full.slice(0, 1),
): Promise<SamplerStates> {
  return [...known, ...await collect(runOf(subject, steps), { table, state: known.at(-1)! })];
}

/** Mean PSNR in dB of a trial's pictures to those of the full run. */
export async function psnrToFull(
  { subject, full }: Trials,
  trajectory: SamplerStates,
): Promise<number> {
  const about = { ...subject, scene: subject.request.scene };
  const pictures = (states: SamplerStates): Promise<Tensor> =>
    picturesOf(states.at(-1)!.latent, about); // trajectories are never empty
  return mean(psnrOf(subject.pipeline, await pictures(trajectory), await pictures(full)));
}

/** A run over the trials' conditions with a cache of its own. */
export function runOf(
  { pipeline: { model, executor }, request, signal }: TrialSubject,
  steps: readonly Step[],
): Run {
  return { model, executor, request, steps, features: new FeatureCache(), signal };
}

async function collect(run: Run, start: Parameters<typeof sampleFrom>[1]): Promise<SamplerState[]> {
  const states: SamplerState[] = [];
  for await (const { state } of sampleFrom(run, start)) states.push(state);
  return states;
}
